"""What Tune leaves in a store goes with its run, and nothing of another."""

from pathlib import Path

from service.schedule.tune import forget_run


def test_the_notes_of_another_run_stay_though_it_only_begins(store):
    """Tune writes a hidden file first."""
    store.put("ray/mine-1/state.json", b"x")
    other = "ray/other-1/.validate_storage_marker"
    store.put(other, b"")
    forget_run(store, "mine-1")
    assert [entry.key for entry in store.entries("", hidden=True)] == [other]
    forget_run(store, "other-1")
    assert not Path(store.path("ray")).exists()
