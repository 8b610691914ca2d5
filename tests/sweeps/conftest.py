"""A store of its own for each test."""

from tests.service.conftest import settings, store  # noqa: F401
