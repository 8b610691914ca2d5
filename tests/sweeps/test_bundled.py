"""What the bundles of a repository hold is done, on a machine without the data too."""

import argparse
import dataclasses

import pytest
import ray

from grokmodel.errors import ConfigError
from service.schedule.plan import Resources
from service.settings import Settings
from service.store.store import Store
from service.tables.bundle import BundleError, export
from service.tables.reading import done_ids
from sweeps import reproduce
from sweeps.budget import OVERHEAD_S, Costs, choose, possible_scales
from sweeps.bundled import bundled
from sweeps.choices import lacking_here, on_images_here
from sweeps.paper import Experiment, Scale
from tests.service.rows import finish

TINY = {"data": ["emnist"], "P": [5], "side": [8], "width": [16], "ffn": [16], "batch": [32],
        "t_levels": [8], "steps": [20], "eval_every": [10], "seed": [0, 1, 2]}  # fmt: skip
SCALES = tuple(Scale(name, name, ({**TINY, "width": [width]},))
               for name, width in (("full", 64), ("small", 32), ("brief", 16)))  # fmt: skip
FULL, SMALL, BRIEF = SCALES
N1 = Experiment("n1", "one image", 1, SCALES)
IMAGES = "0123456789abcdef"


@pytest.fixture
def reproduced(tmp_path, settings):
    """Puts trials of a scale into results/ beside the document, then runs the command on a store
    that is empty and without data."""

    def keep(scale, count):
        store = Store(Settings(str(tmp_path / "origin"), "", ""))
        configs = [c.with_images(IMAGES) for c in scale.configs][:count]
        finish(store, N1.sweep(scale), configs)
        export(store, N1.sweep(scale), tmp_path / "results", {})

    def run(experiment=N1, **flags):
        defaults = {"budget": "1h", "scale": None, "only": None, "dry_run": False, "no_run": False,
                    "export": None}  # fmt: skip
        args = argparse.Namespace(**{**defaults, **places(tmp_path), **flags})
        code = reproduce.run(settings, args, [experiment])
        return code, (tmp_path / "R.md").read_text() if (tmp_path / "R.md").exists() else ""

    run.keep = keep
    return run


def places(folder):
    return {"out": str(folder / "R.md"), "results": None, "no_results": False}


def bundles(folder, **flags):
    return bundled(argparse.Namespace(**{**places(folder), **flags}))


def test_what_they_hold_is_neither_run_nor_paid_for(reproduced, settings, store, capsys):
    reproduced.keep(SMALL, 3)
    assert reproduced(dry_run=True) == (0, "")
    plan = capsys.readouterr().out
    assert "in all about 0 s, of which 0 s are left" in plan
    assert "emnist" in plan  # why it is not larger
    assert store.list("") == []
    code, text = reproduced()
    assert (code, ray.is_initialized()) == (0, False)
    assert "| `n1`: one image | small | 3 of 3 |" in text
    assert len(done_ids(store)) == 3
    # from the tables alone, as there
    assert reproduced(no_run=True) == (0, text)
    assert settings.data_root not in text


def test_a_scale_of_which_they_lack_trials_is_found_and_needs_its_data(reproduced, store, capsys):
    reproduced.keep(BRIEF, 2)
    assert reproduced(dry_run=True, scale="brief")[0] == 0
    assert "n1                  not run" in capsys.readouterr().out
    assert "| `n1`: one image | brief | 2 of 3 |" in reproduced(no_run=True)[1]


def test_they_count_though_the_images_here_are_others(reproduced, capsys):
    """As the built-in glyphs may be with another Pillow."""
    blocks = ({**TINY, "data": ["glyphs"]},)
    glyphs = dataclasses.replace(N1, scales=(Scale("glyphs", "glyphs", blocks, stand_in=True),))
    reproduced.keep(glyphs.scales[0], 3)
    assert reproduced(glyphs, dry_run=True)[0] == 0
    assert "in all about 0 s, of which 0 s are left" in capsys.readouterr().out


def test_no_results_counts_none(reproduced, store):
    reproduced.keep(SMALL, 3)
    assert "| `n1`: one image | - | - |" in reproduced(no_run=True, no_results=True)[1]
    assert done_ids(store) == set()


def test_a_budget_buys_what_is_larger_than_theirs_and_nothing_smaller(
    reproduced, tmp_path, settings, store
):
    reproduced.keep(SMALL, 3)
    found = bundles(tmp_path)
    (experiment,) = on_images_here([N1], settings, found)
    assert [s.name for s in possible_scales(experiment, lambda s: "", found)] == ["small", "full"]
    lacking = lacking_here(settings, found.trial_ids)
    assert ["" if not lacking(s) else "lacks" for s in experiment.scales] == ["lacks", "", "lacks"]
    costs = Costs(store, settings.data_root, Resources(2, 1.0, 0.0), found)
    (choice,) = choose([experiment], OVERHEAD_S / 2, costs, lambda s: "", found)
    assert (choice.scale.name, choice.seconds) == ("small", 0.0)
    assert "the budget ends before full" in choice.reason


def test_a_folder_that_is_named_has_to_have_some(tmp_path, reproduced):
    assert bundles(tmp_path).bundles == ()
    with pytest.raises(ConfigError, match="--results"):
        bundles(tmp_path, results=str(tmp_path))
    reproduced.keep(BRIEF, 1)
    assert len(bundles(tmp_path, results=str(tmp_path / "results")).trial_ids) == 1
    (tmp_path / "results" / N1.sweep(BRIEF) / "trials.parquet").write_bytes(b"")
    with pytest.raises(BundleError, match=r"trials\.parquet: damaged"):
        reproduced(no_run=True)
