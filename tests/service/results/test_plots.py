"""Figures asked of a trial or a sweep are those of the report; without rows, one line says why."""

import pytest

from grokmodel.errors import ConfigError
from service.report import trial_figures
from service.report.figures import render
from service.report.sweep_figures import ACROSS
from service.results import ResultError, open_sweep
from service.store.manifest import write_manifest
from service.tables.writing import write_rows
from tests.environment import python
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

PNG = b"\x89PNG"
OF_SWEEP = ("phases", "steps", "curves", "heads", "measures", "alignment")
OF_TRIAL = tuple(trial_figures.TRIAL_FIGURES)


@pytest.fixture(scope="module")
def smoke(smoke_store):
    return open_sweep(str(smoke_store), "smoke")


@pytest.fixture(scope="module")
def analyzed(smoke):
    """The trial that has all analyses."""
    return smoke.trial(smoke.table("ablations")["trial_id"].iloc[0])


def made_up(store, *configs):
    """A sweep of rows alone, and its first trial."""
    write_manifest(store, "mine", configs, "1")
    write_rows(store, "trials", "mine", [finished_row(config) for config in configs])
    sweep = open_sweep(store.url, "mine")
    return sweep, sweep.trial(configs[0].trial_id)


def names(plots):
    others = dir(object())  # nnsight gives every object a `save`
    return [name for name in dir(plots) if not name.startswith("_") and name not in others]


def test_the_tab_key_finds_all_figures(smoke, analyzed):
    assert names(smoke.plot) == sorted(OF_SWEEP)
    assert names(analyzed.plot) == sorted(OF_TRIAL)
    for plots in (smoke.plot, analyzed.plot):
        assert all(name in repr(plots) and getattr(plots, name).__doc__ for name in names(plots))


def test_what_is_asked_for_in_a_notebook_loads_no_matplotlib_before_it_is_drawn(smoke_store):
    program = (
        "import sys; from service.results import open_sweep; "
        f"sweep = open_sweep({str(smoke_store)!r}, 'smoke'); "
        "trial = sweep.trial(sweep.trials.trial_id[0]); repr(trial.plot), repr(sweep.plot); "
        "print('matplotlib' in sys.modules); trial.plot.curve(); print('matplotlib' in sys.modules)"
    )
    done = python("-c", program)
    assert done.stdout.split() == ["False", "True"], done.stderr


@pytest.mark.parametrize("name", OF_TRIAL)
def test_a_figure_of_a_trial_is_that_of_the_report(name, smoke, analyzed):
    figure = getattr(analyzed.plot, name)()
    drawn = trial_figures.draw(smoke.store, "smoke", analyzed.row, [name])
    assert render(figure, "svg") == render(drawn[name], "svg")


@pytest.mark.parametrize("name", ["curves", "heads", "measures"])
def test_a_figure_of_a_sweep_is_that_of_the_report(name, smoke):
    figure = getattr(smoke.plot, name)()
    assert render(figure, "svg") == render(ACROSS[name](smoke.store, "smoke", smoke.trials), "svg")


def test_a_notebook_shows_a_figure(smoke, analyzed):
    for figure in (smoke.plot.curves(), analyzed.plot.curve()):
        assert figure._repr_png_().startswith(PNG)


def axes_of(figure):
    return figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()


def test_a_plane_has_the_axes_that_are_named_and_else_those_that_vary_most(store):
    configs = [tiny_config(weight_decay=w, train_fraction=r, seed=s)
               for w in (0, 1, 3) for r in (0.5, 0.7) for s in (0, 1)]  # fmt: skip
    plot = made_up(store, *configs)[0].plot
    decay, fraction, seed = "weight decay", "training fraction R", "seed"
    for draw in (plot.phases, plot.steps):
        assert axes_of(draw()) == (decay, fraction)
        assert axes_of(draw(x="train_fraction")) == (fraction, decay)
        assert axes_of(draw(y="weight_decay")) == (fraction, decay)
        assert axes_of(draw("seed", "train_fraction")) == (seed, fraction)
        with pytest.raises(ConfigError, match=r"y = 'seed' .*another axis than x"):
            draw("seed", "seed")
        with pytest.raises(ConfigError, match=r"y = 'width' .*varies: weight_decay, train_fr"):
            draw(y="width")


def test_the_critical_index_of_three_trials_is_compared(store):
    sweep, trial = made_up(store, *(tiny_config(seed=i) for i in range(3)))
    known = {"run_id": trial.row["run_id"], "step": 40, "levels": 51, "observed": 9}
    for i, trial_id in enumerate(sweep.trials["trial_id"]):
        with pytest.raises(ResultError, match="too few trials of sweep 'mine' have what alignment"):
            sweep.plot.alignment()
        row = known | {"trial_id": trial_id, "predicted": 10 + i, "difference": 1 + i}
        write_rows(store, "critical", "mine", [row])
    assert sweep.plot.alignment().axes[0].get_title() == "median |predicted - observed| = 2 of 50"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s, t: t.plot.curve(), "no rows in table curves, which training fills"),
        (lambda s, t: t.plot.samples(), "no rows in table samples, which training fills"),
        (lambda s, t: t.plot.spectra(), "no rows in table spectra; .* --only spectra --store"),
        (lambda s, t: t.plot.training(), "table progress; .* --only progress,basins,complexity "),
        (lambda s, t: t.plot.timesteps(), "grok analyze --sweep mine --only timesteps,swaps,blo"),
        (lambda s, t: t.plot.representation(), "table pca; .* --only representation --store"),
        (lambda s, t: s.plot.curves(), "sweep 'mine' has no rows in table curves"),
        (lambda s, t: s.plot.heads(), "heads is drawn from; to analyze: .* --only spectra"),
        (lambda s, t: s.plot.measures(), "to analyze: grok analyze --sweep mine --store"),
        (lambda s, t: s.plot.phases(), "sweep 'mine' varies seed; a plane needs two axes"),
        (lambda s, t: s.plot.steps(x="seed"), "varies seed; a plane needs two axes"),
    ],
)
def test_what_has_no_rows_is_one_line_that_says_how_to_have_them(store, ask, said):
    sweep, trial = made_up(store, tiny_config(seed=0), tiny_config(seed=1))
    with pytest.raises(ResultError, match=said) as refusal:
        ask(sweep, trial)
    assert "\n" not in str(refusal.value)


def test_a_sweep_without_a_finished_trial_says_so(store):
    write_manifest(store, "mine", [tiny_config()], "1")
    plot = open_sweep(store.url, "mine").plot
    for name in OF_SWEEP:
        with pytest.raises(ResultError, match="sweep 'mine' has no"):
            getattr(plot, name)()
