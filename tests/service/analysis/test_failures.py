"""What a bad checkpoint costs, and what a store that cannot be used."""

import pytest

from grokmodel.core.checkpoint import dump_snapshot, load_snapshot
from grokmodel.image.pack import Member
from service.analysis.failures import Failure, lines
from service.analysis.pending import Wish
from service.store.store import Store, StoreError
from service.tables.reading import read_table
from tests.service.analysis.sweeps import FAST
from tests.service.tiny import tiny_config


def not_finite(data):
    member = load_snapshot(Member, data)
    member.state.average.fill_(float("nan"))
    return dump_snapshot(member)


HOSTILE = {
    "missing": (lambda data: None, "not found"),
    "damaged": (lambda data: b"damaged", "not a grok checkpoint"),
    "another trial": (
        lambda data: dump_snapshot(Member.start(tiny_config(seed=77))),
        "need one of",
    ),
    "not finite": (not_finite, "not finite"),
}


@pytest.mark.parametrize("harm", HOSTILE)
def test_a_bad_checkpoint_is_a_row_of_failures_and_harms_no_other_trial(trained, store, harm):
    bad, good = trained.ids
    key = trained.snapshot(bad, 40)
    whole = store.get(key)
    data, message = HOSTILE[harm][0](whole), HOSTILE[harm][1]
    store.delete(key)
    if data is not None:
        store.put(key, data)

    (report,) = trained.analyze()
    failures = read_table(store, "failures", "sweep")
    assert set(failures["trial_id"]) == {bad}
    assert set(failures["analysis"]) == set(FAST.names)
    assert failures["message"].str.contains(message).all()
    assert (failures["checkpoint"] == store.uri(key)).all()
    assert len(report.failures) == 2
    assert set(read_table(store, "heads", "sweep")["trial_id"]) == {good}

    store.put(key, whole)  # once it is there again it is done, and the failure is forgotten
    (report,) = trained.analyze()
    assert report.failures == ()
    assert read_table(store, "failures", "sweep").empty
    assert set(read_table(store, "heads", "sweep")["trial_id"]) == {bad, good}


def test_a_damaged_snapshot_on_the_way_costs_the_analyses_over_training_only(trained, store):
    bad, good = trained.ids
    store.put(trained.snapshot(bad, 10), b"damaged")
    trained.analyze()
    assert list(read_table(store, "failures", "sweep")["analysis"]) == ["basins"]
    assert set(read_table(store, "heads", "sweep")["trial_id"]) == {bad, good}
    assert set(read_table(store, "basins", "sweep")["trial_id"]) == {good}


@pytest.mark.parametrize("place", ["checkpoints/", "tables/heads"])
def test_a_store_that_cannot_be_used_ends_a_task_at_once(trained, store, monkeypatch, place):
    """It has been tried for long: not again for each trial, and to write down that it failed."""
    refused = []

    def refusing(call):
        def refuse(self, key, *data):
            if refused or place in key:
                refused.append(key)
                raise StoreError("full")
            return call(self, key, *data)

        return refuse

    for name in ("put", "get"):
        monkeypatch.setattr(Store, name, refusing(getattr(Store, name)))
    wish = Wish(names=("heads", "identities"))
    with pytest.raises(StoreError, match="full"):
        trained.analyze(wish)
    assert len(refused) == 1
    monkeypatch.undo()
    assert read_table(store, "failures", "sweep").empty
    (report,) = trained.analyze(wish)
    assert report.failures == ()


def test_one_reason_is_said_once_per_trial():
    lost = [Failure(what, "s.safetensors: not found", trial) for trial in "ab" for what in "xy"]
    others = [Failure("x", "1 of trial 2", "c"), Failure("figures of sweep mine", "OSError()")]
    assert lines([*lost, *others]) == [
        "x, y of trial a: s.safetensors: not found",
        "x, y of trial b: s.safetensors: not found",
        "x of trial c: 1 of trial 2",
        "figures of sweep mine: OSError()",
    ]
