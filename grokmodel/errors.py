"""What the errors that a user can mend have in common."""


class UserError(Exception):
    """An error whose message is meant for the user: it says what was wrong, its value and what
    would be right. Commands show it without a traceback."""
