"""The registry of analyses, set against the schema."""

import dataclasses

import pyarrow as pa
import pytest

from grokmodel.analysis import (
    ablations,
    automata,
    basins,
    complexity,
    heads,
    identities,
    learning_coefficient,
    progress,
    representation,
    spectra,
    timesteps,
)
from grokmodel.catalog.analyses import ANALYSES, chosen
from grokmodel.denoiser import denoiser, spectral_bias
from grokmodel.dictionaries import dictionaries
from grokmodel.errors import ConfigError
from service.tables.schema import TABLES

ROWS = {
    "spectra": spectra.SpectrumRow,
    "identities": identities.IdentityRow,
    "progress": progress.ProgressRow,
    "ablations": ablations.AblationRow,
    "blocked": ablations.BlockedRow,
    "timesteps": timesteps.TimestepRow,
    "critical": timesteps.CriticalRow,
    "swaps": timesteps.SwapRow,
    "representation": representation.RepresentationRow,
    "pca": representation.PcaRow,
    "heads": heads.HeadRow,
    "complexity": complexity.ComplexityRow,
    "learning_coefficient": learning_coefficient.LearningCoefficientRow,
    "basins": basins.BasinRow,
    "automata": automata.AutomatonRow,
    "denoiser": denoiser.DenoiserRow,
    "skips": denoiser.SkipRow,
    "spectral_bias": spectral_bias.SpectralBiasRow,
    "dictionaries": dictionaries.DictionaryRow,
}
TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


def test_every_table_of_an_analysis_has_the_columns_of_its_rows():
    assert set(ROWS) == {name for a in ANALYSES for name in a.tables}
    for name, row in ROWS.items():
        columns = {c.name: c.type for c in TABLES[name].columns}
        for extra in ("trial_id", "run_id", "step", "schema_version"):
            del columns[extra]
        fields = {f.name: TYPES[f.type.split(" ")[0]] for f in dataclasses.fields(row)}
        assert fields == columns, name


def test_an_unknown_analysis_is_named_with_what_there_is():
    with pytest.raises(ConfigError, match="'spectre' is not allowed: it must be one of spectra, "):
        chosen(["heads", "spectre"])
