"""What a budget or a scale asks for is run once, and written the same from the tables."""

import json
import re
import shlex

import pytest

from grokmodel.core.config import SCIENCE_VERSION
from grokmodel.errors import ConfigError
from service.cli import commands
from service.reproduction.claims import CLAIMS
from sweeps import grok
from sweeps.budget import choose
from sweeps.choices import asked_for, chosen_scales, plan_lines
from sweeps.paper import EXPERIMENTS
from tests.sweeps.made_up import PAIR, MadeUp
from tests.sweeps.scripts import run_script

# --- the command ---------------------------------------------------------------------------------


class MadeUpSeconds:
    of = at_least = staticmethod(lambda scale: 100.0)
    left = staticmethod(lambda scale, done: 60.0 if done else 100.0)


def test_data_that_are_missing_are_the_reason_and_no_folder_is_named(settings):
    choices = chosen_scales(EXPERIMENTS, 3600.0, MadeUpSeconds(), settings)
    by_name = {c.experiment.name: c for c in choices}
    assert by_name["n1"].scale is None
    assert "emnist" in by_name["n1"].reason
    assert by_name["kuzushiji"].scale.stand_in
    assert not [c for c in choices if settings.data_root in c.reason]
    text = "\n".join(plan_lines(choices, MadeUpSeconds(), set()))
    assert all(e.name in text for e in EXPERIMENTS)


def test_a_scale_can_be_asked_for_whatever_the_time(settings):
    asked = asked_for(EXPERIMENTS, ["kuzushiji"], "glyphs-small")
    (choice,) = chosen_scales(asked, "glyphs-small", MadeUpSeconds(), settings)
    assert choice.scale.name == "glyphs-small"
    assert "asked for" in choice.reason
    (choice,) = chosen_scales(asked, "small", MadeUpSeconds(), settings)
    assert choice.scale is None
    assert "not found" in choice.reason


def test_of_a_scale_those_that_have_it_are_meant_unless_they_are_named():
    assert asked_for(EXPERIMENTS, None, "brief") == list(EXPERIMENTS)
    assert [e.name for e in asked_for(EXPERIMENTS, None, "glyphs-brief")] == ["kuzushiji"]
    with pytest.raises(ConfigError, match=r"one of full, half, small, brief \(n1 has"):
        asked_for(EXPERIMENTS, ["kuzushiji", "n1"], "glyphs-brief")
    with pytest.raises(ConfigError, match=r"--scale = 'tiny'.*brief, glyphs-small, glyphs-brief"):
        asked_for(EXPERIMENTS, None, "tiny")


def test_a_plan_says_what_is_left_and_chooses_as_if_nothing_were_done():
    choices = choose(PAIR, 110, MadeUp(), lambda scale: "")
    assert plan_lines(choices, MadeUpSeconds(), {"a trial"})[-1] == (
        "in all about 110 s, of which 2 min are left"  # two made-up scales, each with 60 s
    )
    assert "3 min are left" in plan_lines(choices, MadeUpSeconds(), set())[-1]


def test_the_console_command_has_all_commands_and_the_module_its_own(capsys):
    with pytest.raises(SystemExit):
        grok.main(["--help"])
    assert {"reproduce", "status", "doctor"} <= set(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        commands.main(["reproduce"])


@pytest.mark.parametrize(
    "flags",
    [["--budget", "soon"], ["--out", "/nowhere/at/all.md"], ["--out", "/proc/R.md"],
     ["--out", "/tmp"], ["--out", "/tmp/" + 300 * "R"], ["--scale", "tiny"]],
)  # fmt: skip
@pytest.mark.parametrize("how", ["--no-run", "--dry-run"])
def test_bad_input_is_one_line_and_exit_code_2(flags, how, tmp_path, capsys):
    assert grok.main(["reproduce", how, "--store", str(tmp_path / "s"), *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"grok: {flags[0]} = ")
    assert error.count("\n") == 1


def test_a_budget_or_a_scale(capsys):
    with pytest.raises(SystemExit):
        grok.main(["reproduce", "--budget", "1h", "--scale", "brief"])
    assert "not allowed with" in capsys.readouterr().err


def test_a_docs_that_is_no_folder_is_found_before_anything_is_run(tmp_path, capsys):
    (tmp_path / "docs").write_text("")
    flags = ["--store", str(tmp_path / "s"), "--out", str(tmp_path / "R.md")]
    assert grok.main(["reproduce", "--dry-run", *flags]) == 2
    assert "--out" in capsys.readouterr().err
    assert not (tmp_path / "R.md").exists()


def test_commands_of_the_document_parse(tmp_path):
    out = tmp_path / "REPRODUCTION.md"
    assert (
        grok.main(["reproduce", "--no-run", "--store", str(tmp_path / "s"), "--out", str(out)]) == 0
    )
    lines = re.findall(r"^    .venv/bin/grok (reproduce .*)$", out.read_text(), re.MULTILINE)
    assert len(lines) == len(CLAIMS)
    parser = commands.build_parser(grok.add_reproduce)
    for line in lines:
        args = parser.parse_args(shlex.split(line))
        assert [e.name for e in asked_for(EXPERIMENTS, args.only, args.scale)]
        assert args.data_root == "DIR"


# --- the whole way -------------------------------------------------------------------------------

WHOLE_WAY = """
import argparse
from service.store.heartbeat import heartbeats
from service.store.origins import trained_on
from service.store import marks
from sweeps import reproduce
from sweeps.paper import Experiment, Scale
from tests.sweeps.parents import parent_run

tiny = {"P": [5], "side": [8], "width": [16], "ffn": [16], "batch": [32], "t_levels": [8],
        "steps": [20], "eval_every": [10], "sample_steps": [1], "final_sample_steps": [1],
        "train_fraction": [0.8]}
scales = (Scale("full", "the paper's", ({**tiny, "data": ["emnist"]},)),
          Scale("brief", "tiny", (tiny,)))
experiments = (Experiment("n1", "one image", 1, scales),
               Experiment("n4", "no data", 1, scales[:1]))
other = Experiment("n1", "one image", 1, (Scale("full", "the paper's", (tiny,)),))
settings = Settings(str(folder / "store"), f"sqlite:///{folder}/mlflow.db", str(folder / "data"))
out = folder / "R.md"
def go(experiments=experiments, **flags):
    args = {"budget": "1h", "scale": None, "only": None, "out": str(out), "dry_run": False,
            "no_run": False, "export": None, "results": None, "no_results": False}
    code = reproduce.run(settings, argparse.Namespace(**{**args, **flags}), experiments)
    return code, out.read_text() if out.exists() else ""
def left_behind(sweep):
    store, (client, run) = Store(settings), parent_run(settings, sweep)
    (report,) = [e for e in store.entries(f"figures/{sweep}") if e.key.endswith("report.html")]
    shown = Path(client.download_artifacts(run.info.run_id, "report.html")).read_bytes()
    (beat,) = heartbeats(store, sweep)
    return {"status": run.info.status, "unsent": marks.marked(store, sweep),
            "report": shown == store.get(report.key), "beat": beat.modified >= report.modified,
            "trained on": [facts["science_version"] for facts in trained_on(store, sweep)]}
dry = go(dry_run=True)
first, left = go(), left_behind(experiments[0].sweep(scales[1]))
again, written = go(budget="2h", only=["n1"]), go(no_run=True)
scale = go(scale="brief")
figures = sorted(p.name for p in (folder / "docs").iterdir())
elsewhere = go((other,), no_run=True)
print(json.dumps({"dry": dry, "first": first, "again": again, "written": written, "left": left,
                  "scale": scale, "figures": figures, "elsewhere": elsewhere}))
"""


@pytest.mark.cluster
def test_what_fits_is_run_once_and_written_the_same_from_the_tables(tmp_path):
    found = run_script(WHOLE_WAY, tmp_path)
    assert found["dry"] == [0, ""]
    code, text = found["first"]
    assert code == 0
    # the driver was seen to the end of the analyses, and MLflow has what they left
    assert found["left"] == {"status": "FINISHED", "unsent": [], "report": True, "beat": True,
                             "trained on": [str(SCIENCE_VERSION)]}  # fmt: skip
    # a run that adds nothing leaves the notes of those that did
    assert found["again"] == found["written"] == found["first"]
    assert found["figures"] == ["reproduction-curves.png", "reproduction-levels.png"]
    assert re.search(r"`n1`: one image \| brief \| 1 of 1 \| \S+, `\S+`, budget 1h \| tiny", text)
    assert re.search(r"`n4`: no data \| - \| - \| - \| not run: DIR/.*not found", text)
    assert str(tmp_path) not in text
    assert "1 trial, 1 seed: 1 " in text
    assert "grok reproduce --only n1 --scale brief --data-root DIR" in text
    # the same scale by its name: it is all there, and why it is not larger is new
    assert "scale brief was asked for" in found["scale"][1]
    assert "`n1`: one image | brief | 1 of 1 |" in found["scale"][1]
    # a trial counts whichever sweep trained it
    assert "`n1`: one image | full | 1 of 1 | not known |" in found["elsewhere"][1]
    assert "1 trial, 1 seed: 1 " in found["elsewhere"][1]
    state = json.loads((tmp_path / "store" / "reproduction" / "state.json").read_text())
    assert [run["budget"] for run in state["experiments"]["n1"]["scales"]["brief"]["runs"]] == [
        "1h"
    ]


REFUSED = """
from service.tables.reading import done_ids
from sweeps import reproduce
from sweeps.budget import Choice
from sweeps.choices import on_images_here
from sweeps.paper import Experiment, Scale
from tests.grokmodel.data_files import write_two_alike

(folder / "data").mkdir()
write_two_alike(folder / "data")
tiny = {"data": ["kuzushiji49"], "P": [5, 7], "N": [2], "side": [8], "width": [16],
        "ffn": [16], "batch": [32], "t_levels": [8], "steps": [20], "eval_every": [10],
        "sample_steps": [1], "final_sample_steps": [1], "train_fraction": [0.8]}
settings = Settings(str(folder / "store"), f"sqlite:///{folder}/mlflow.db", str(folder / "data"))
experiment = Experiment("critical", "two moduli", 1, (Scale("full", "the paper's", (tiny,)),))
(experiment,) = on_images_here([experiment], settings)
(scale,) = experiment.scales
choice = Choice(experiment, scale, 1.0)
found = reproduce.run_experiment(choice, settings)
done = done_ids(Store(settings))
print(json.dumps({"found": found, "done": [c.P for c in scale.configs if c.trial_id in done]}))
"""


@pytest.mark.cluster
def test_a_bank_without_a_decoder_stops_its_own_trials_only(tmp_path):
    found = run_script(REFUSED, tmp_path)
    assert found["done"] == [5]
    reason, failed = found["found"]
    assert re.fullmatch(
        r"P = 7: the decoder of 7 symbols reads 0\.\d+ of the held-out images; need 0.98", reason
    )
    assert not failed
