"""Cells stand where their values are, as far as these have a size."""

import numpy as np
import pytest

from service.report.scales import LINEAR, LOG, ORDINAL, Scale


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((0.1, 1.0, 10.0), LOG),
        ((0.0, 0.1, 1.0, 10.0), LOG),
        ((1, 2, 4, 8, 16), LOG),
        ((0.4, 0.5, 0.6, 0.8), LINEAR),  # more even by log, but not wide
        ((1, 10, 20, 30, 40), LINEAR),  # wide, but more even as it is
        ((-1.0, 0.0, 100.0), LINEAR),
        ((23, 31), ORDINAL),
        (("baseline", "sandwich", "other"), ORDINAL),
        ((False, True), ORDINAL),
    ],
)
def test_an_axis_is_logarithmic_where_its_values_are(values, kind):
    assert Scale(values).kind == kind
    assert Scale(values).has_break == (kind == LOG and values[0] == 0)


def test_cells_end_half_way_between_values():
    scale = Scale((0.5, 0.6, 0.8))
    np.testing.assert_allclose(np.diff(scale.edges), np.array([0.1, 0.15, 0.2]) * 3 / 0.45)
    assert (scale.edges[0], scale.edges[-1]) == (0, pytest.approx(3))
    assert scale.narrowest == pytest.approx(2 / 3)


def test_zero_stands_a_step_before_the_first_value_of_a_logarithmic_axis():
    np.testing.assert_allclose(Scale((0, 0.1, 1, 10)).edges, [0, 1, 2, 3, 4])


def test_a_place_inside_a_cell_is_the_same_share_of_it():
    scale = Scale((0.5, 0.6, 0.8))
    assert scale.at(1.25) == pytest.approx(
        scale.edges[1] + 0.25 * (scale.edges[2] - scale.edges[1])
    )
