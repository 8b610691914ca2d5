"""What a search says of itself, in words, as JSON and in its picture, is no more than it knows."""

import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.text import Text

from service.boundary.figure import draw
from service.boundary.lattice import edges
from service.boundary.state import NONE_SEEN, OPEN, make_search
from service.colors import PHASE_COLORS
from tests.service.boundary.searching import Table, by_side, published, run


def words_of(found):
    return [text.get_text() for text in draw(found).findobj(Text)]


def lines_of(found):
    """Segments that are drawn whole, and those that are dashed."""
    solid, dashed = draw(found).findobj(LineCollection)
    return len(solid.get_segments()), len(dashed.get_segments())


def colors_at(found, point):
    """Colors of the slices that are drawn at a point."""
    dots = draw(found).findobj(PathCollection)
    at = [dot for dot in dots if point in map(tuple, dot.get_offsets())]
    return {to_hex(dot.get_facecolor()[0]).upper() for dot in at} - {"#FFFFFF"}


@pytest.mark.parametrize("side", [True, False])
def test_where_all_that_is_observed_is_on_one_side_no_boundary_is_known(
    search, settings, store, side
):
    phase = "grokking" if side else "memorization"
    found = run(search, settings, Table(store, truth=lambda config: phase))
    assert found.points == len(search.first)
    assert found.state == NONE_SEEN
    assert "no boundary seen" in found.in_words()
    said = published(store)
    assert said["state"] == NONE_SEEN
    assert not said["known"]
    shown = words_of(found)
    assert any("no boundary seen" in text for text in shown)
    assert "boundary" not in shown  # a line that is not there has no entry in the legend


def test_a_boundary_that_is_seen_is_in_the_legend(search, settings, store):
    found = run(search, settings, Table(store))
    assert "boundary" in words_of(found)
    assert "boundary, not known yet" not in words_of(found)
    assert lines_of(found) == (len(edges(found.belief.side_XY)), 0)
    assert "boundary known to 1 cell where it was seen" in found.in_words()


def test_where_the_boundary_is_not_known_yet_it_is_dashed(plane, settings, store):
    found = run(make_search("wall", plane, 1, 22), settings, Table(store))
    assert found.state == OPEN
    solid, dashed = lines_of(found)
    assert dashed > 0
    assert solid + dashed == len(edges(found.belief.side_XY))
    assert "boundary, not known yet" in words_of(found)
    count = found.open_XY.sum()
    assert any(f"not known yet at {count} points" in text for text in words_of(found))


def split(config):
    """One seed of two generalizes late in a strip along the boundary."""
    is_strip = 5 * config.train_fraction <= config.weight_decay < 12 * config.train_fraction
    return "grokking" if is_strip and config.seed == 1 else by_side(config)


def test_a_tie_between_seeds_is_shown_and_told_as_one(search, settings, store):
    """Neither phase is drawn for both seeds; the side that ties count to is named."""
    found = run(search, settings, Table(store, truth=split))
    ties = [point for point, phases in found.phases.items() if len(set(phases)) == 2]
    assert found.ties == len(ties) > 0
    assert f"seeds tied at {len(ties)} points, counted as generalized" in found.in_words()
    assert published(store)["ties"] == len(ties)
    both = {PHASE_COLORS["grokking"].upper(), PHASE_COLORS["memorization"].upper()}
    for point, phases in found.phases.items():
        assert colors_at(found, point) == {PHASE_COLORS[phase].upper() for phase in phases}
    assert colors_at(found, ties[0]) == both
    assert any("at least half of the seeds" in text for text in words_of(found))
    assert all(found.belief.side_XY[point] for point in ties)


def test_a_side_is_told_with_the_budget_that_it_is_of(search, settings, store):
    """No trial is said never to generalize: it had not by its last step."""
    found = run(search, settings, Table(store))
    steps = search.plane.configs((0, 0))[0].steps
    assert f"not generalized by step {steps:,}" in words_of(found)
    assert published(store)["sides"][0] == f"not generalized by step {steps:,}"
