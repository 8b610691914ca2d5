"""The paper's experiments are all there; a budget chooses their scales; what is run is written."""

import re
import shlex
from pathlib import Path

import pytest

from grokmodel.config import ConfigError
from service import cli
from service.reproduction.claims import CLAIMS
from service.settings import Settings
from service.storage import Store
from sweeps import grok, reproduce
from sweeps.budget import choose, duration, equivalent_steps, parse_budget, possible_scales
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


def test_data_that_are_missing_are_the_reason_and_no_folder_is_named(settings, monkeypatch):
    monkeypatch.setattr(reproduce, "Costs", lambda *_: MadeUpSeconds())
    choices = reproduce.chosen_scales(EXPERIMENTS, 3600.0, settings, Store(settings))
    by_name = {c.experiment.name: c for c in choices}
    assert by_name["n1"].scale is None
    assert "emnist" in by_name["n1"].reason
    assert by_name["kuzushiji"].scale.stand_in
    assert not [c for c in choices if settings.data_root in c.reason]
    text = "\n".join(reproduce.plan_lines(choices))
    assert all(e.name in text for e in EXPERIMENTS)


class MadeUpSeconds:
    of = at_least = staticmethod(lambda scale: 1.0)


def test_the_console_command_has_all_commands_and_the_module_its_own(capsys):
    with pytest.raises(SystemExit):
        grok.main(["--help"])
    assert {"reproduce", "status", "doctor"} <= set(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        cli.main(["reproduce"])


@pytest.mark.parametrize("flags", [["--budget", "soon"], ["--out", "/nowhere/at/all.md"]])
def test_bad_input_is_one_line_and_exit_code_2(flags, tmp_path, capsys):
    assert grok.main(["reproduce", "--no-run", "--store", str(tmp_path / "s"), *flags]) == 2
    assert capsys.readouterr().err.startswith("grok: ")


def test_commands_of_the_document_parse(tmp_path):
    out = tmp_path / "REPRODUCTION.md"
    assert (
        grok.main(["reproduce", "--no-run", "--store", str(tmp_path / "s"), "--out", str(out)]) == 0
    )
    commands = re.findall(r"^    grok (reproduce .*)$", out.read_text(), re.MULTILINE)
    assert len(commands) == len(CLAIMS)
    parser = cli.build_parser(grok.add_reproduce)
    for command in commands:
        parser.parse_args(shlex.split(command))


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
settings = Settings(str(folder / "store"), f"sqlite:///{folder}/mlflow.db", str(folder / "data"))
out = folder / "R.md"
def go(**flags):
    args = {"budget": "1h", "only": None, "out": str(out), "dry_run": False, "no_run": False}
    code = reproduce.run(settings, argparse.Namespace(**{**args, **flags}), experiments)
    return code, out.read_text() if out.exists() else ""
dry = go(dry_run=True)
first, again, written = go(), go(), go(no_run=True)
figures = sorted(p.name for p in (folder / "docs").iterdir())
print(json.dumps({"dry": dry, "first": first, "again": again, "written": written,
                  "figures": figures}))
"""


def test_what_fits_is_run_once_and_written_the_same_from_the_tables(tmp_path):
    found = run_script(WHOLE_WAY, tmp_path)
    assert found["dry"] == [0, ""]
    code, text = found["first"]
    assert code == 0
    assert found["again"] == found["written"] == found["first"]
    assert found["figures"] == ["reproduction-curves.png", "reproduction-levels.png"]
    assert "`n1`: one image | brief | 1 of 1 | tiny" in text
    assert re.search(r"`n4`: no data \| - \| - \| not run: DIR/.*not found", text)
    assert str(tmp_path) not in text
    assert "a budget of\n1h" in text
    assert "1 trial, 1 seed: 1 " in text
