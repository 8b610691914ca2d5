"""A store of its own for each test."""

from tests.service.conftest import new_database, settings, store  # noqa: F401
