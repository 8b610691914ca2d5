"""The paper's experiments are all there; a budget chooses their scales; what is run is written."""

import json
import re
import shlex
from pathlib import Path

import pytest

from grokmodel.config import ConfigError
from service import cli
from service.reproduction.claims import CLAIMS
from service.settings import Settings
from sweeps import grok
from sweeps.budget import choose, duration, equivalent_steps, parse_budget, possible_scales
from sweeps.choices import asked_for, chosen_scales, plan_lines
from sweeps.flags import SWEEP_NAME
from sweeps.paper import BY_NAME, EXPERIMENTS, Experiment, Scale
from sweeps.presets import preset_configs
from tests.sweeps.scripts import run_script

ROOT = Path(__file__).resolve().parents[2]


def full(name):
    return BY_NAME[name].scales[0].configs


def values(configs, *fields):
    return {tuple(getattr(c, f) for f in fields) for c in configs}


# --- the experiments -----------------------------------------------------------------------------


def test_every_experiment_of_the_paper_is_there():
    assert values(full("n1"), "data", "P", "N") == {("emnist", 23, 1)}
    assert values(full("n4"), "P", "N") == {(23, 4)}
    assert values(full("n256"), "P", "N", "variant") == {(23, 256, "sandwich")}
    assert values(full("variants"), "N", "variant", "ffn") == {
        (256, "baseline", 512), (256, "baseline", 1024)
    }  # fmt: skip
    assert values(full("depth2") + full("depth2-n256"), "N", "depth") == {(1, 2), (256, 2)}
    assert values(full("moduli"), "data", "P", "N") == {("emnist", P, 1) for P in (27, 31, 35)}
    assert values(full("kuzushiji"), "data", "P") == {("kuzushiji49", P) for P in (39, 43, 47)}
    found = full("critical") + full("critical-kuzushiji")
    assert values(found, "P", "N") == {(P, 256) for P in (27, 31, 35, 39, 43, 47)}
    assert values(full("unordered"), "split", "P") == {("unordered", P) for P in (23, 27, 31, 35)}


def test_full_is_the_papers_scale():
    for experiment in EXPERIMENTS:
        assert experiment.scales[0].name == "full"
        assert values(experiment.scales[0].configs, "side", "width", "train_fraction") == {
            (32, 512, 0.9)
        }
        assert len(values(experiment.scales[0].configs, "seed")) == 3


def test_the_preset_is_the_union_of_all_experiments_in_full():
    union = {c.trial_id for e in EXPERIMENTS for c in e.scales[0].configs}
    assert {c.trial_id for c in preset_configs("paper", {})} == union


def test_diverse_emnist_has_an_alphabet_without_look_alikes():
    configs = [c for e in EXPERIMENTS for s in e.scales for c in s.configs]
    assert {c.alphabet for c in configs if c.N > 1 and c.data == "emnist"} == {"distinct"}
    assert {c.alphabet for c in configs if c.data == "kuzushiji49"} == {"plain"}


def test_every_scale_is_a_sweep_of_its_own():
    names = [e.sweep(s) for e in EXPERIMENTS for s in e.scales]
    assert len(set(names)) == len(names)
    assert all(SWEEP_NAME.fullmatch(name) for name in names)


def test_smaller_scales_cost_less():
    for experiment in EXPERIMENTS:
        sizes = [s for s in experiment.scales if not s.stand_in]
        work = [sum(equivalent_steps(c) * c.side**2 * c.width for c in s.configs) for s in sizes]
        assert work == sorted(work, reverse=True), experiment.name


def test_claims_rest_on_experiments_that_exist():
    for claim in CLAIMS:
        assert set(claim.experiments) | set(claim.stand_in) <= set(BY_NAME), claim.id


# --- the budget ----------------------------------------------------------------------------------


def made_up(name, weight, *names, stand_in=()):
    return Experiment(
        name, name, weight, tuple(Scale(n, n, (), stand_in=n in stand_in) for n in names)
    )


PAIR = (made_up("a", 2, "full", "small"), made_up("b", 1, "full", "half", "small"))
SECONDS = {"full": 1000.0, "half": 100.0, "small": 10.0}


class MadeUp:
    """Costs by name of the scale; notes what was measured."""

    def __init__(self, bound=0.5):
        self.measured, self.bound = [], bound

    def of(self, scale):
        self.measured.append(scale.name)
        return SECONDS[scale.name]

    def at_least(self, scale):
        return self.bound * SECONDS[scale.name]


def names(budget_s, lacking=lambda scale: "", experiments=PAIR, costs=None):
    found = choose(experiments, budget_s, costs or MadeUp(), lacking)
    return [choice.scale.name if choice.scale else None for choice in found]


def test_a_budget_buys_the_cheapest_first():
    assert names(5) == [None, None]
    assert names(10) == ["small", None]
    assert names(20) == ["small", "small"]
    assert names(110) == ["small", "half"]
    assert names(1100) == ["full", "half"]
    assert names(2000) == ["full", "full"]


def test_more_time_never_makes_an_experiment_smaller():
    rank = {None: 0, "small": 1, "half": 2, "full": 3}
    before = [0, 0]
    for budget in range(0, 2200, 5):
        now = [rank[name] for name in names(budget)]
        assert all(x >= y for x, y in zip(now, before, strict=True)), budget
        assert names(budget) == names(budget)
        before = now


def test_what_cannot_fit_is_not_measured():
    costs = MadeUp()
    names(15, costs=costs)
    assert set(costs.measured) == {"small"}


def test_a_scale_that_is_not_taken_has_a_reason():
    choices = choose(PAIR, 110, MadeUp(), lambda scale: "")
    assert "the budget ends before full" in choices[0].reason
    no_data = choose(PAIR, 1e6, MadeUp(), lambda scale: "no files")
    assert [c.scale for c in no_data] == [None, None]
    assert {c.reason for c in no_data} == {"no files"}
    assert [c.reason for c in choose(PAIR, 1e6, MadeUp(), lambda scale: "")] == ["", ""]


def test_stand_ins_are_for_those_without_data():
    experiment = made_up("a", 1, "full", "small", "half", stand_in=("half",))
    assert [s.name for s in possible_scales(experiment, lambda s: "")] == ["small", "full"]
    without = possible_scales(experiment, lambda s: "" if s.stand_in else "no files")
    assert [s.name for s in without] == ["half"]


def test_budgets_are_times():
    assert [parse_budget(t) for t in ("90s", "20m", "1.5h", "3d")] == [90, 1200, 5400, 259_200]
    for text in ("", "20", "h", "-1h", "0m", "1w", "inf"):
        with pytest.raises(ConfigError, match="--budget"):
            parse_budget(text)
    assert [duration(s) for s in (59, 1200, 3 * 3600, 4e5)] == [
        "59 s",
        "20 min",
        "3.0 h",
        "4.6 days",
    ]


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path):
    return Settings(str(tmp_path / "store"), f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path))


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
        "in all about 110 s, of which 120 s are left"  # two made-up scales, each with 60 s
    )
    assert "200 s are left" in plan_lines(choices, MadeUpSeconds(), set())[-1]


def test_the_console_command_has_all_commands_and_the_module_its_own(capsys):
    with pytest.raises(SystemExit):
        grok.main(["--help"])
    assert {"reproduce", "status", "doctor"} <= set(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        cli.main(["reproduce"])


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
    parser = cli.build_parser(grok.add_reproduce)
    for line in lines:
        args = parser.parse_args(shlex.split(line))
        assert [e.name for e in asked_for(EXPERIMENTS, args.only, args.scale)]
        assert args.data_root == "DIR"


# --- the whole way -------------------------------------------------------------------------------

WHOLE_WAY = """
import argparse, json, sys
from pathlib import Path
from service.settings import Settings
from sweeps import reproduce
from sweeps.paper import Experiment, Scale

folder = Path(sys.argv[1])
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
            "no_run": False}
    code = reproduce.run(settings, argparse.Namespace(**{**args, **flags}), experiments)
    return code, out.read_text() if out.exists() else ""
dry = go(dry_run=True)
first, again, written = go(), go(budget="2h", only=["n1"]), go(no_run=True)
scale = go(scale="brief")
figures = sorted(p.name for p in (folder / "docs").iterdir())
elsewhere = go((other,), no_run=True)
print(json.dumps({"dry": dry, "first": first, "again": again, "written": written,
                  "scale": scale, "figures": figures, "elsewhere": elsewhere}))
"""


def test_what_fits_is_run_once_and_written_the_same_from_the_tables(tmp_path):
    found = run_script(WHOLE_WAY, tmp_path)
    assert found["dry"] == [0, ""]
    code, text = found["first"]
    assert code == 0
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
import json, sys
from pathlib import Path
import numpy as np
from service.settings import Settings
from service.storage import Store
from service.tables import done_ids
from sweeps import reproduce
from sweeps.budget import Choice
from sweeps.paper import Experiment, Scale

folder = Path(sys.argv[1])
(folder / "data").mkdir()
random = np.random.default_rng(0)
for part, each in (("train", 100), ("test", 20)):
    labels = np.repeat(np.arange(7), each)
    images = random.integers(0, 255, (len(labels), 28, 28))
    for label in range(5):  # a bright bar tells these apart, nothing does 5 and 6
        images[labels == label] = 0
        images[labels == label, :, 5 * label + 2 : 5 * label + 6] = 250
    images[labels < 5] += random.integers(0, 6, images[labels < 5].shape)
    np.savez(folder / "data" / f"k49-{part}-imgs.npz", images.astype(np.uint8))
    np.savez(folder / "data" / f"k49-{part}-labels.npz", labels.astype(np.uint8))
tiny = {"data": ["kuzushiji49"], "P": [5, 7], "N": [2], "side": [8], "width": [16],
        "ffn": [16], "batch": [32], "t_levels": [8], "steps": [20], "eval_every": [10],
        "sample_steps": [1], "final_sample_steps": [1], "train_fraction": [0.8]}
scale = Scale("full", "the paper's", (tiny,))
settings = Settings(str(folder / "store"), f"sqlite:///{folder}/mlflow.db", str(folder / "data"))
choice = Choice(Experiment("critical", "two moduli", 1, (scale,)), scale, 1.0)
found = reproduce.run_experiment(choice, settings, lambda line: None)
done = done_ids(Store(settings))
print(json.dumps({"found": found, "done": [c.P for c in scale.configs if c.trial_id in done]}))
"""


def test_a_bank_without_a_decoder_stops_its_own_trials_only(tmp_path):
    found = run_script(REFUSED, tmp_path)
    assert found["done"] == [5]
    reason, failed = found["found"]
    assert re.fullmatch(
        r"P = 7: the decoder of 7 symbols reads 0\.\d+ of the held-out images; need 0.98", reason
    )
    assert not failed
