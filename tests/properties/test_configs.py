"""Any values at all: a trial with its identity, or a ConfigError that says what would be right."""

import dataclasses
import json
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grokmodel.configs import config_of
from grokmodel.core.outcome import DIVERGED
from grokmodel.data.pairs import split_pairs
from grokmodel.errors import ConfigError
from grokmodel.image.config import FIELDS, TrialConfig
from tests.properties.strategies import ANYTHING, edge_fields, of_field, share, some_fields
from tests.properties.trial_life import lives

MOST_WORDS = 900
"""Characters of a message: what a terminal shows at a glance, with a value of 200."""


def made_or_refused(values):
    """The config of these values, or None if it is refused as it should be."""
    try:
        return TrialConfig.from_dict(values)
    except ConfigError as refusal:
        error = refusal
    text = str(error)
    assert error.field in values or error.field in FIELDS
    assert text.startswith(f"{error.field} = ".split("\n")[0])
    assert "it must be " in text
    assert len(text) < MOST_WORDS
    assert str(pickle.loads(pickle.dumps(ConfigError(error.field, 1, error.allowed))))
    return None


def assert_identity(config):
    """The trial's id survives every way in which configs travel."""
    values = config.to_dict()
    assert [type(v) for v in values.values()] == [field.type for field in FIELDS.values()]
    backwards = dict(reversed(values.items()))
    copies = [
        TrialConfig.from_dict(values),
        TrialConfig.from_dict(backwards),
        TrialConfig.from_dict(json.loads(json.dumps(values))),
        pickle.loads(pickle.dumps(config)),
        dataclasses.replace(config),
    ]
    assert all(copy == config and copy.trial_id == config.trial_id for copy in copies)


@share(10)
@given(
    st.one_of(
        some_fields(lambda name: ANYTHING),
        some_fields(of_field),
        st.dictionaries(st.text(max_size=9), ANYTHING, max_size=3),
    )
)
@example({"P": 10**5000})
@example({"P": 10**18 + 9, "op": "div"})
@example({"steps": 10**30, "eval_every": 1})
@example({"op": "x" * 10**6})
@example({"beta2": 1 - 1e-12})
@example({"lr": 1e300})
@example({"width": 65536, "ffn": 65536})
def test_any_values_make_a_trial_or_are_refused_by_name(values):
    config = made_or_refused(values)
    if config is not None:
        assert_identity(config)


@share(4)
@given(some_fields(of_field), some_fields(of_field))
def test_ids_are_equal_just_if_all_fields_are(one, other):
    configs = [made_or_refused({"P": 7, **values}) for values in (one, other)]
    if None not in configs:
        same = configs[0].to_dict() == configs[1].to_dict()
        assert (configs[0].trial_id == configs[1].trial_id) == same


def trainable(fields):
    """The fields as a config that trains, or None: refused when made, or when it is split."""
    try:
        config = TrialConfig(**fields)
        split_pairs(config)
    except ConfigError as refusal:
        error = refusal
    else:
        return config
    assert error.field in fields
    return None


SMALLEST_TRIAL = {"P": 3, "side": 8, "width": 2, "heads": 1, "ffn": 1, "batch": 1, "t_levels": 1}
SMALLEST_TRIAL |= {"steps": 1, "eval_every": 1, "sample_steps": 1, "final_sample_steps": 1}


@share(0.25)
@given(edge_fields())
@example(SMALLEST_TRIAL | {"norm": "pre", "init_scale": 1e20, "train_fraction": 0.5})  # no loss
@example(SMALLEST_TRIAL | {"patch": 1, "op": "div", "precision": "bfloat16"})
def test_what_is_accepted_can_be_trained_and_recorded(fields):
    """From first step to last table row, with every resume point read back."""
    config = trainable(fields)
    if config is not None:
        with lives(config) as life:
            row = life.train()
            assert config_of(row) == config
            assert list(life.curve["step"])[-1] == row["steps_run"] <= config.steps


@pytest.mark.cluster
@share(0.03)
@given(edge_fields(tiles=3))
def test_what_is_accepted_can_be_analyzed_and_drawn(fields):
    config = trainable(fields)
    if config is not None:
        with lives(config) as life:
            if life.train()["phase"] != DIVERGED:
                life.analyze()
            assert life.draw()
