"""A search of the small plane."""

import pytest

from service.boundary.state import make_search


@pytest.fixture
def search(plane):
    return make_search("wall", plane, 1, None)
