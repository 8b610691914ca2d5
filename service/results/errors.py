"""What results do not have."""

from grokmodel.errors import UserError


class ResultError(UserError, LookupError):
    """What is asked for is not in the results. Names it, and what there is."""


class NoSnapshotError(ResultError):
    """The trial has rows, but no snapshot: it was imported."""
