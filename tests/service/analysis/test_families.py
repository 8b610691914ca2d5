"""Trials of every family go the same way: packs, rows, analyses, page."""

import pytest

from grokmodel.catalog.analyses import ANALYSES
from grokmodel.configs import CONFIGS
from grokmodel.parity.config import ParityConfig
from grokmodel.rules.config import RulesConfig
from grokmodel.tokens.config import TokensConfig
from service import page
from service.analysis.pending import Wish, batches, missing
from service.results.errors import ResultError
from service.results.sweep import Sweep as Results
from service.schedule.drawing import draw_sweep
from service.schedule.plan import Resources, make_plan
from service.tables.reading import read_table
from service.tables.schema import TABLES
from tests.service.analysis.sweeps import Sweep
from tests.service.tiny import tiny_config

TOKENS = [
    TokensConfig(P=7, width=8, heads=2, ffn=12, train_fraction=0.6, steps=20, eval_every=5, seed=s)
    for s in (0, 1)
]
PARITY = [
    ParityConfig(
        hidden=8, gain=g, max_length=4, val_length=9, val_sequences=20, steps=20, eval_every=5
    )
    for g in (0.1, 0.8)
]  # fmt: skip
RULES = [
    RulesConfig(model="autoregressive", width=8, heads=2, ffn=12, images=n, eval_samples=16,
                steps=20, eval_every=5)
    for n in (10, 20)
]  # fmt: skip


@pytest.mark.parametrize("configs", [TOKENS, PARITY, RULES], ids=["tokens", "parity", "rules"])
def test_a_sweep_of_another_family_fills_its_tables_and_its_page(configs, settings, store):
    family, sweep = configs[0].family, Sweep(settings, "sweep", configs)
    trials = read_table(store, "trials", "sweep")
    assert set(trials["trial_id"]) == set(sweep.ids)
    assert set(trials["family"]) == {family}
    assert trials["side"].isna().all()  # a setting of images
    (report,) = sweep.analyze(Wish())
    assert (report.trials, report.failures) == (2, ())
    for analysis in ANALYSES:
        for name in analysis.tables:
            frame = read_table(store, name, "sweep")
            found = set(frame["trial_id"])
            assert found == (set(sweep.ids) if family in analysis.families else set()), name
            assert not frame.duplicated(list(TABLES[name].key)).any(), name
    draw_sweep(store, "sweep", settings)
    html = store.get(page.key("sweep")).decode()
    assert all(trial_id in html for trial_id in sweep.ids)
    assert ("<dt>strict pairs</dt>" in html) == (family == "tokens")  # the terms of its own
    assert configs[0].curve_names.stages in html
    trial = Results("sweep", settings).trial(sweep.ids[0])
    assert trial.config == configs[0]
    assert f"--family {family}" in trial.command
    with pytest.raises(ResultError, match=f"of family {family}; need one that draws images"):
        trial.model()


def test_trials_of_several_families_are_planned_into_packs_of_their_own(store):
    configs = [*TOKENS, tiny_config(), *PARITY, *RULES]
    plan = make_plan(store, "mixed", configs, Resources(1, 1.0, 0.0))
    assert sorted(sorted(c.family for c in pack) for pack in plan.packs) == [
        ["image"], ["parity", "parity"], ["rules", "rules"], ["tokens", "tokens"],
    ]  # fmt: skip


def test_trials_of_several_families_live_in_one_table(settings, store):
    for name, configs in (("a", TOKENS[:1]), ("b", [tiny_config()]), ("c", PARITY[:1]),
                          ("d", RULES[:1])):  # fmt: skip
        Sweep(settings, name, configs)
    trials = read_table(store, "trials")
    assert set(trials["family"]) == set(CONFIGS)
    for sweep in "abcd":
        todo = missing(store, sweep, Wish()).todo
        (family,) = {item.config.family for item in todo}
        names = {a.name for a in ANALYSES if family in a.families}
        assert {name for item in todo for name in item.names} == names
        assert len(list(batches(todo, 8))) == 1


def test_rows_from_before_there_were_families_are_of_images(settings, store):
    from service.store.keys import table_key
    from service.tables import parquet
    from service.tables.writing import arrow_of
    from tests.service.rows import finished_row

    rows = arrow_of("trials", [finished_row(tiny_config())]).drop_columns("family")
    store.put(table_key("trials", "old", "0" * 16), parquet.to_bytes(rows))
    found = read_table(store, "trials", "old")
    assert found["family"].tolist() == ["image"]
    assert Results("old", settings).trial(found["trial_id"][0]).config == tiny_config()
