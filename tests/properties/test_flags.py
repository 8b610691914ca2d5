"""Any flags at all: a short answer with an exit code, and a store that a refusal leaves alone."""

import contextlib
import io
import os
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grokmodel.image.config import AXES
from service.cli import commands
from service.schedule import driver
from service.schedule.cluster import ClusterError
from service.settings import Settings
from service.store.manifest import write_manifest
from service.store.store import Store
from service.tables.writing import write_rows
from sweeps import grok_phase
from tests.properties.strategies import share
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config

LONGEST_LINE = 2_000
"""Characters, besides what the user wrote, which may be said twice."""
SMALL = ["--width", "4", "--ffn", "4", "--batch", "8", "--t-levels", "8", "--side", "8", "--P", "5"]
"""So that what is accepted costs little to measure; flags that follow take their place."""
WORDS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    st.integers().map(str),
    st.integers(-2, 66).map(str),
    st.floats().map(str),
    st.sampled_from(["", "true", "nan", "inf", "1e999", "-1", "--", "-", "0x10", "1_000", "٣"]),
    st.sampled_from([choice for field in AXES.values() for choice in field.choices]),
    st.sampled_from(["9" * 5000, "x" * 5000, "../x", "mine", "\ud800", "a\nb", "%s", "{}", "~"]),
)
AXIS_FLAGS = st.sampled_from([f"--{name.replace('_', '-')}" for name in AXES])
OWN = st.sampled_from(["--preset", "--name", "--analyses", "--seeds", "--data-root", "--nonsense"])


@st.composite
def sweep_flags(draw):
    given_flags = draw(
        st.lists(st.one_of(AXIS_FLAGS, AXIS_FLAGS, AXIS_FLAGS, OWN, WORDS), max_size=3)
    )
    return [word for flag in given_flags for word in (flag, *draw(st.lists(WORDS, max_size=2)))]


@st.composite
def likely_flags(draw):
    """One axis with values of its type, most of them small."""
    name = draw(st.sampled_from([n for n, field in AXES.items() if field.type in (int, float)]))
    values = st.integers(-1, 9) if AXES[name].type is int else st.floats(-1, 2)
    found = draw(st.lists(values, min_size=1, max_size=2))
    return [f"--{name.replace('_', '-')}", *map(str, found)]


def answer(main, argv):
    """Exit code and what was said on stderr; anything but an exit is a failure."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(argv)
        except SystemExit as stop:
            code = stop.code
    return code, err.getvalue()


def assert_short(argv, code, error, prog):
    """A refusal is one line of the program; argparse puts its usage before it."""
    assert code in (0, 1, 2)
    assert "Traceback" not in error
    assert bool(error) == (code != 0)
    if code and not error.startswith("usage: "):  # argparse quotes whatever it was given
        assert error.startswith(f"{prog}: ")
        assert error.count("\n") == 1
        assert len(error) < LONGEST_LINE + 2 * sum(map(len, argv))


def content(folder):
    """Every file below a folder with its bytes."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith(("GROK_", "MLFLOW_", "AWS_"))]:
        monkeypatch.delenv(name)


@share(3)
@given(flags=sweep_flags())
@example(["--P", "9" * 5000])
@example(["--P", "1000000000000000003", "--op", "div"])
@example(["--width", "65536"])
@example(["--seeds", "9" * 40])
@example(["--data-root", "x" * 5000, "--data", "emnist"])
def test_any_flags_of_a_sweep_get_a_short_answer(tmp_path, flags):
    store = tmp_path / "store"
    with mock.patch.object(grok_phase, "dry_run", return_value="plan"):
        argv = [*SMALL, *flags, "--dry-run", "--store", str(store)]
        assert_short(argv, *answer(grok_phase.main, argv), "grok_phase")
    assert not store.exists()


@share(0.4)
@given(flags=likely_flags())
def test_a_plan_is_measured_or_refused_and_nothing_is_written(tmp_path, flags):
    store = tmp_path / "store"
    argv = [*SMALL, *flags, "--dry-run", "--store", str(store)]
    assert_short(argv, *answer(grok_phase.main, argv), "grok_phase")
    assert not store.exists()


PLACES = ["s3://", "s3:///x", "s3://b", "file:///x"]


def could_be(place):
    """A path that a file system can look up: others are in `test_settings.py`."""
    return len(place) < 200 and place.isprintable() and "~" not in place and place != "--"


COMMANDS = ["status", "figures", "analyze", "publish", "costs", "columns", "table", "nonsense"]
CLI_WORDS = st.one_of(WORDS, st.sampled_from(["mine", "yours", "--sweep", "--x", "--y", "--only"]))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A sweep of two trials, one of them done."""
    folder = tmp_path_factory.mktemp("cli")
    made = Store(Settings(str(folder / "store"), f"sqlite:///{folder}/mlflow.db", "", None))
    configs = tuple(tiny_config(seed=s) for s in range(2))
    write_manifest(made, "mine", configs, "1")
    write_rows(made, "curves", "mine", finished_curve(configs[0]))
    write_rows(made, "trials", "mine", [finished_row(configs[0])])
    return made


@st.composite
def grok_flags(draw):
    command = draw(st.sampled_from(COMMANDS))
    known = [] if command == "columns" else ["--sweep", draw(st.sampled_from(["mine", "yours"]))]
    more = draw(st.lists(CLI_WORDS, min_size=0 if command in ("costs", "table") else 1, max_size=3))
    return [command, *known, *more]


@share(3)
@given(argv=grok_flags())
@example(["status", "--sweep", "../../etc"])
@example(["status", "--sweep", "x" * 5000])
@example(["table", "--sweep", "\ud800"])
@example(["figures", "--sweep", "mine", "--x", "P"])
@example(["figures", "--sweep", "mine", "--trials", "all", "none"])
@example(["analyze", "--sweep", "mine", "--sweep", "mine"])
@example(["analyze", "--sweep", "mine", "--only", "spectra,nonsense"])
@example(["analyze", "--sweep", "mine", "--t", "1e-999,2"])
def test_any_flags_of_grok_get_a_short_answer(store, argv):
    folder = Path(store.url)
    before = content(folder)
    no_cluster = ClusterError("none here")  # what is right may ask for one, whatever the others do
    with mock.patch.object(driver, "start_ray", side_effect=no_cluster):
        code, error = answer(commands.main, [*argv, "--store", store.url])
    assert_short(argv, code, error, "grok")
    if code == 2:
        assert content(folder) == before


@share(3)
@given(place=st.one_of(WORDS.filter(could_be), st.sampled_from(PLACES)))
def test_any_place_of_a_store_gets_a_short_answer(tmp_path, place):
    argv = ["status", f"--store={place}"]
    assert_short(argv, *answer(commands.main, argv), "grok")
    assert not content(tmp_path)
