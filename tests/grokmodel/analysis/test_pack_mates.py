"""A member's rows are the same alone and beside another, whatever the analysis."""

import numpy as np
import pytest

from grokmodel.analysis.ablations import ablations, blocked
from grokmodel.analysis.basins import basins
from grokmodel.analysis.heads import heads
from grokmodel.analysis.identities import identities
from grokmodel.analysis.progress import progress
from grokmodel.analysis.representation import representation
from grokmodel.analysis.spectra import spectra
from grokmodel.analysis.timesteps import swaps, timesteps
from grokmodel.denoiser.denoiser import denoiser, skips
from grokmodel.denoiser.spectral_bias import spectral_bias
from tests.grokmodel.analysis.handmade import (
    decoders_of,
    lookup_config,
    memorizer,
    probe_of,
    random_member,
)
from tests.grokmodel.tiny import banks_for

ROWS = {
    "ablations": ablations,
    "basins": basins,
    "blocked": blocked,
    "denoiser": lambda probe, _: denoiser(probe),
    "heads": heads,
    "identities": lambda probe, _: identities(probe),
    "progress": lambda probe, decoders: [
        [row] for row in progress(probe, decoders, range(len(probe)))
    ],
    "representation": lambda probe, _: representation(probe, [False] * len(probe))[0],
    "skips": skips,
    "spectral_bias": lambda probe, _: spectral_bias(probe, range(len(probe))),
    "spectra": lambda probe, _: spectra(probe, [0.5, 1.0]),
    "swaps": swaps,
    "timesteps": lambda probe, decoders: timesteps(probe, decoders)[0],
}
"""Rows of every member of a probe."""


@pytest.fixture(scope="module", params=[1, 2])
def pair(request):
    """Two members of one bank, of N = 1 or 2 images per symbol, different in all else."""
    configs = [
        lookup_config(P=5, N=request.param, seed=s, train_fraction=0.5 + s / 10, sample_steps=3)
        for s in (1, 2)
    ]
    banks = banks_for(*configs)
    return [memorizer(configs[0], *banks.values()), random_member(configs[1], 0.1)]


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_a_member_do_not_depend_on_its_pack_mates(name, pair):
    together = probe_of(*pair)
    for member, expected in zip(pair, ROWS[name](together, decoders_of(together)), strict=True):
        alone = probe_of(member)
        (found,) = ROWS[name](alone, decoders_of(alone))
        assert len(found) == len(expected)
        for column in vars(expected[0]):
            mine, theirs = ([getattr(row, column) for row in rows] for rows in (found, expected))
            if isinstance(theirs[0], float):  # of float32 activations
                size = np.nanmax(np.abs(theirs), initial=0.0, where=np.isfinite(theirs))
                np.testing.assert_allclose(mine, theirs, 1e-3, 1e-5 * size, err_msg=column)
            else:
                assert mine == theirs, column
