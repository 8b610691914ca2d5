"""Every scale keeps the notes of the runs it comes from; damaged notes are one clear error."""

import json

import pytest

from service.reproduction.document import Run
from service.store.store import StoreError
from sweeps import grok
from sweeps.run_notes import STATE_KEY, Notes

EARLY = Run("2026-01-02", "10h", "a machine", "abc", "Python 3")
LATE = EARLY._replace(date="2026-02-03", budget="20m")


def test_a_smaller_scale_run_later_leaves_the_larger_one_its_run_and_reason(store):
    notes = Notes(store)
    for scale, run in (("half", EARLY), ("brief", LATE)):
        notes.add("n1", "stopped before it was done")
        assert notes.add_run("n1", scale, "", run)
        notes.add("n1", f"ends before what follows {scale}", scale=scale)
    assert not notes.add_run("n1", "brief", "", LATE)
    notes.save()
    found = Notes(store)
    assert found.runs("n1", "half") == [EARLY]
    assert found.runs("n1", "brief") == [LATE]
    assert found.reason("n1", "half") == "ends before what follows half"
    assert found.reason("n1") == "ends before what follows brief"
    assert (found.reason("n4"), found.runs("n4", "full")) == ("not asked for", [])


def test_a_run_that_added_nothing_is_dropped(store):
    notes = Notes(store)
    notes.add("n1", "", scale="brief")
    notes.add_run("n1", "brief", "", EARLY)
    notes.add_run("n1", "brief", "", LATE)
    notes.drop_run("n1", "brief", LATE)
    assert notes.runs("n1", "brief") == [EARLY]


def test_notes_of_before_scales_were_told_apart_are_read(store):
    old = {"about": {"budget": "25m"}, "experiments": {"n1": {"reason": "no", "failed": False}}}
    store.put(STATE_KEY, json.dumps(old).encode())
    notes = Notes(store)
    assert notes.reason("n1", "small") == "no"
    assert notes.runs("n1", "small") == []
    notes.add("n1", "the budget ends", scale="brief")
    assert notes.reason("n1", "small") == ""  # of which scale the old one was, nobody knows


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"experiments": []}', '{"experiments": {"n1": {}}}',
     '{"experiments": {"n1": {"reason": "", "scales": {"full": 1}}}}',
     '{"experiments": {"n1": {"reason": "", "scales": {"full": {"reason": "", "runs": [{}]}}}}}'],
)  # fmt: skip
def test_damaged_notes_are_one_line_that_names_them(text, store, tmp_path, capsys):
    store.put(STATE_KEY, text.encode())
    with pytest.raises(StoreError, match=STATE_KEY):
        Notes(store)
    flags = ["--store", store.url, "--out", str(tmp_path / "R.md")]
    assert grok.main(["reproduce", "--no-run", *flags]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_empty_notes_are_none(store):
    store.put(STATE_KEY, b"{}")
    assert Notes(store).reason("n1") == "not asked for"
