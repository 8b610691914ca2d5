"""A sweep that takes trials over from another has of them what it would have trained itself."""

from service.schedule.plan import Resources, make_plan
from service.schedule.reuse import adopt
from service.store import marks, origins
from service.store.manifest import write_manifest
from service.tables.reading import done_ids, read_table
from tests.service.rows import finish
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(seed=s) for s in range(3)]
IDS = {c.trial_id for c in CONFIGS}
CPU = Resources(slots=1, cpus=1.0, gpus=0.0)


def take_over(store, sweep):
    plan = make_plan(store, sweep, CONFIGS, CPU)
    write_manifest(store, sweep, plan.configs, "2")
    adopt(store, plan)


def test_rows_and_where_they_are_from_are_taken_over(store):
    finish(store, "first", CONFIGS[:2])
    origins.add_driver(store, "first", {"device": "a machine"})
    finish(store, "second", CONFIGS[2:])
    take_over(store, "third")
    assert done_ids(store, "third") == IDS == set(marks.marked(store, "third"))
    for table in ("samples", "curves", "trials"):
        columns = [c for c in read_table(store, table).columns if c != "sweep"]
        both, third = (read_table(store, table, s, IDS) for s in (None, "third"))
        assert len(third) == len(both) > 0
        assert (
            third[columns]
            .sort_values(columns[:3])
            .reset_index(drop=True)
            .equals(both[columns].sort_values(columns[:3]).reset_index(drop=True))
        )
    assert origins.trained_on(store, "third") == [{"device": "a machine"}]


def test_a_sweep_that_shares_nothing_does_not_mind_what_others_left(store):
    finish(store, "first", CONFIGS[:1])
    for key in store.list("tables/samples"):
        store.put(key, store.get(key)[:100])
    plan = make_plan(store, "third", CONFIGS[1:], CPU)
    adopt(store, plan)
    assert not store.list("tables/trials/sweep=third")
