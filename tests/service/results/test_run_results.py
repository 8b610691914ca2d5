"""What was trained far from the store is in it as if it had been trained there."""

import gzip
import json
from functools import partial

import pandas as pd
import pytest

from grokmodel.core.config import SCIENCE_VERSION
from grokmodel.errors import UserError
from grokmodel.image.decoder import CnnDecoder
from grokmodel.image.pack import bank_key
from grokmodel.run import archive, results
from grokmodel.run.__main__ import LEFT
from grokmodel.run.archive import Archive
from grokmodel.run.plan import PLAN
from service.analysis.pending import Wish, batches, missing
from service.analysis.tasks import Job, analysis_task
from service.cli.commands import main as grok
from service.data import snapshots
from service.data.banks import bank_of, bind_images
from service.schedule.export import export_plan
from service.settings import Settings
from service.store import origins
from service.store.manifest import read_manifest
from service.store.store import Store
from service.tables.reading import done_ids, read_table
from service.tables.schema import TABLES
from service.worker.pack_run import PackJob
from tests.grokmodel.runs import run
from tests.service.packs import run_pack
from tests.service.tables.bundles import files, take_runs
from tests.service.tiny import tiny_config

TIMING = {"trials": ["wall_s"], "curves": [], "samples": []}
"""Tables that training fills, and what of them differs from one time to another."""
ANALYZED = ("heads", "spectra")


def settings_in(folder):
    return Settings(str(folder), f"sqlite:///{folder}.db", str(folder / "data"))


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """The folder of a run of three trials, the plan it is of, and a store that trained the same."""
    folder = tmp_path_factory.mktemp("far")
    configs = bind_images([tiny_config(seed=s, weight_decay=s) for s in range(3)], "")
    said = export_plan(folder / "plan.zip", "sweep", configs, settings_in(folder / "none"))
    assert "3 trials of 1 pack shape, 1 image bank" in said
    flags = ("--checkpoints", "all", "--members", 3, "--analyses", *ANALYZED)
    assert run(folder / "plan.zip", folder / "out", *flags) == 0
    here = settings_in(folder / "here")
    run_pack(PackJob("sweep", here, tuple(configs), cpus=1.0))
    return folder, configs, Store(here)


def rows(store, name):
    frame = read_table(store, name, "sweep").drop(columns=TIMING[name])
    return frame.sort_values(list(TABLES[name].key), ignore_index=True)


def changed(path, change, place):
    """A copy of a results file in which some parts are others."""
    found = Archive(path, "")
    parts = {name: found.read(name) for name in found.names}
    place.parent.mkdir(exist_ok=True)
    archive.write(place, parts | change(parts))
    return place


def test_rows_checkpoints_and_manifest_are_those_of_a_sweep_here(far, store):
    folder, configs, here = far
    assert take_runs(store, folder / "out") == ["sweep: 3 of 3 trials imported"]
    for name in TIMING:
        pd.testing.assert_frame_equal(rows(store, name), rows(here, name), check_exact=True)
    assert read_manifest(store, "sweep").trials == {c.trial_id: c.to_dict() for c in configs}
    assert store.list("checkpoints") == here.list("checkpoints")
    for row in read_table(store, "trials").to_dict("records"):
        last = (row["trial_id"], row["steps_run"], row["run_id"])
        mine, theirs = (snapshots.load(place, *last) for place in (store, here))
        assert (mine.state.average == theirs.state.average).all()
        assert mine.curve == theirs.curve or mine.curve[0].mem_share != mine.curve[0].mem_share
    assert len(missing(store, "sweep", Wish()).todo) == 3  # they have what analyses need


def test_what_was_analyzed_there_is_as_if_it_had_been_here(far, store):
    folder, _, here = far
    for path in (folder / "out", folder / "out"):  # the second time there is nothing to take
        take_runs(store, path)
    wish = Wish(ANALYZED)
    assert missing(store, "sweep", wish).todo == []
    for batch in batches(missing(here, "sweep", wish).todo, 8):
        assert analysis_task(Job("sweep", settings_in(folder / "here"), wish), batch).failures == ()
    for name in (*ANALYZED, "analyses"):
        mine, theirs = (
            read_table(place, name, "sweep").drop(columns="seconds", errors="ignore")
            .sort_values(list(TABLES[name].key), ignore_index=True)
            for place in (store, here)
        )  # fmt: skip
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)


def test_it_says_where_they_were_trained(far, store):
    take_runs(store, far[0] / "out")
    (facts,) = origins.trained_elsewhere(store, "sweep")
    assert {"date", "device", "git.commit", "version.torch", "seconds"} <= facts.keys()
    runs = set(
        read_table(store, "trials")[["trial_id", "run_id"]].itertuples(index=False, name=None)
    )
    assert origins.imported_runs(store, "sweep") == runs


def test_a_second_import_writes_nothing(far, store):
    take_runs(store, far[0] / "out")
    before = files(store)
    assert take_runs(store, far[0]) == ["sweep: 0 of 3 trials imported, 3 there already"]
    assert take_runs(store, far[0] / "out" / "results-1.zip")[0].startswith("sweep: 0 of 3")
    assert files(store) == before


def test_what_is_finished_is_taken_while_the_rest_is_not(far, store, settings, tmp_path):
    _, configs, _ = far
    out, plan = tmp_path / "out", tmp_path / "plan.zip"
    short = bind_images([tiny_config(seed=9, steps=20)], "")
    export_plan(plan, "sweep", [*short, *configs], settings)
    while not (out / "results-1.zip").exists():
        assert run(plan, out, "--minutes", "1e-9", "--members", 4) == LEFT
    assert take_runs(store, out) == ["sweep: 1 of 1 trials imported"]
    assert len(read_manifest(store, "sweep").trials) == 4
    said = export_plan(tmp_path / "rest.zip", "sweep", [*short, *configs], settings)
    assert "4 trials, 1 done already" in said
    assert run(plan, out) == 0
    assert take_runs(store, out) == ["sweep: 3 of 4 trials imported, 1 there already"]
    assert export_plan(tmp_path / "x.zip", "sweep", configs, settings).endswith(
        "no plan is written"
    )
    assert not (tmp_path / "x.zip").exists()


def test_checkpoints_come_after_rows_that_came_without(far, store, tmp_path):
    whole = far[0] / "out" / "results-1.zip"
    found = Archive(whole, "")
    kept = {n: found.read(n) for n in found.names if "step=" not in n}
    archive.write(tmp_path / "results-1.zip", kept)
    take_runs(store, tmp_path / "results-1.zip")
    assert (len(done_ids(store)), store.list("checkpoints")) == (3, [])
    assert missing(store, "sweep", Wish()).todo == []
    take_runs(store, whole)
    assert store.list("checkpoints") == far[2].list("checkpoints")


def test_an_import_that_is_killed_is_completed_by_the_same_command(far, store, monkeypatch):
    put = Store.put

    class KilledError(Exception):
        pass

    def killed(self, key, data):
        if "tables/trials" in key:
            raise KilledError
        put(self, key, data)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "put", killed)
        with pytest.raises(KilledError):
            take_runs(store, far[0] / "out")
    assert done_ids(store) == set()
    assert store.list("checkpoints") == far[2].list("checkpoints")  # before the rows
    assert take_runs(store, far[0] / "out") == ["sweep: 3 of 3 trials imported"]


# --- what cannot be used -------------------------------------------------------------------------


def of_version(parts):
    body = json.loads(parts[PLAN]) | {"science_version": SCIENCE_VERSION + 1}
    return {PLAN: json.dumps(body).encode()}


def of_json(change, kind):
    """A change of what the first part says whose name has this in it."""

    def changed_part(parts):
        name = next(n for n in parts if kind in n)
        body = json.loads(gzip.decompress(parts[name]))
        change(body)
        return {name: gzip.compress(json.dumps(body).encode())}

    return changed_part


of_rows, of_analyses = partial(of_json, kind=results.ROWS), partial(of_json, kind=results.ANALYSES)


def of_other_weights(parts):
    first, *_, other = [name for name in parts if "step=40" in name]
    return {first: parts[other]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of_version, "format and science version"),
        (of_rows(lambda body: body["trial"].update(seed=77)), "its row is of another config"),
        (of_rows(lambda body: body["trial"].update(phase=3.5)), "table trials"),
        (of_rows(lambda body: body["curves"][0].pop("loss")), "table curves"),
        (of_rows(lambda body: body["curves"][1].update(loss=9.0)), "of another trial or run"),
        (of_rows(lambda body: body.pop("samples")), "is damaged"),
        (of_rows(lambda body: body.update(trial=None)), "no finished trial"),
        (of_other_weights, "of another trial or run"),
        (of_analyses(lambda found: found["heads"][0].update(trial_id="a")), "of another trial"),
        (of_analyses(lambda found: found["heads"][0].update(colour=1)), "table heads"),
        (of_analyses(lambda found: found.update(trials=[])), "which no analysis fills"),
        (of_analyses(lambda found: found.update(heads=3)), "is damaged"),
        (lambda parts: {"trained_on.json": b"3"}, "trained_on.json is damaged"),
        (lambda parts: {next(n for n in parts if "step=" in n): b"x"}, "not a grok checkpoint"),
    ],
    ids=range(14),
)
def test_files_that_cannot_be_used_are_named_and_nothing_is_written(
    far, store, tmp_path, change, words
):
    path = changed(far[0] / "out" / "results-1.zip", change, tmp_path / "bad" / "results-1.zip")
    with pytest.raises(UserError) as refusal:
        take_runs(store, far[0] / "out", path)
    assert words in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert store.list("") == []


def test_the_command_says_so_in_one_line(far, tmp_path, capsys):
    store = str(tmp_path / "store")
    (tmp_path / "thesis.zip").write_text("thesis")
    (tmp_path / "empty").mkdir()
    for path, words in (
        (tmp_path / "thesis.zip", "no zip file"),
        (far[0] / "plan.zip", "trained_on.json"),
        (tmp_path / "empty", "results-1.zip"),
        (tmp_path / "nowhere", "results-1.zip"),
    ):
        assert grok(["import-results", str(path), "--store", store]) == 2
        line, *more = capsys.readouterr().err.splitlines()
        assert (words in line, str(path) in line, more) == (True, True, [])
    assert grok(["import-results", str(far[0] / "out"), "--store", store]) == 0
    assert capsys.readouterr().out == "sweep: 3 of 3 trials imported\n"


def test_a_plan_that_cannot_be_written_is_one_error(far, settings, tmp_path):
    with pytest.raises(UserError, match="need a file that can be written"):
        export_plan(tmp_path / "no" / "plan.zip", "sweep", far[1], settings)


def test_the_decoder_of_a_plan_is_that_of_the_store(settings, store, tmp_path, monkeypatch):
    """Trained once, whoever needs it first."""
    configs = bind_images([tiny_config(N=2, side=8, P=5)], "")
    model = CnnDecoder(5, 8).eval()
    monkeypatch.setattr("service.data.decoders.train_decoder", lambda bank: model)
    plan = tmp_path / "plan.zip"
    export_plan(plan, "sweep", configs, settings)
    (key,) = store.list("decoders")
    assert Archive(plan, "").read("banks/0/decoder.safetensors") == store.get(key)
    assert bank_of(bank_key(configs[0]), "").fingerprint == configs[0].images_hash
    before = plan.read_bytes()
    monkeypatch.setattr("service.data.decoders.train_decoder", None)
    export_plan(plan, "sweep", configs, settings)
    assert plan.read_bytes() == before
