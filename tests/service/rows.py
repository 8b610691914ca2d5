"""Rows of finished trials, and whole sweeps of them, made without training."""

from grokmodel.catalog.analyses import ANALYSES
from grokmodel.core.outcome import EVALUATION_FIELDS, Evaluation
from grokmodel.core.rows import curve_rows, trial_row
from grokmodel.image.evaluate import Accuracy
from grokmodel.image.family import final_columns
from grokmodel.image.pack import Member
from service.store import keys
from service.store.manifest import write_manifest
from service.tables.schema import TABLES
from service.tables.writing import write_rows

NAN = float("nan")


def curve_row(trial_id, step, **fields):
    """One evaluation, its numbers made up; what only N > 1 has is missing."""
    row = {"run_id": "", **dict.fromkeys(EVALUATION_FIELDS, 0.5)}
    row |= dict.fromkeys(("mem_share", "val_acc_heldout", "val_acc_strict_heldout", "val_loss"))
    return {**row, "trial_id": trial_id, "step": step, **fields}


def finished_member(config, accuracy=1.0):
    """A member with a made-up curve in which everything is learned from step 10 on."""
    member = Member.start(config)
    steps = range(0, config.steps + 1, config.eval_every)
    member.curve = [
        Evaluation(s, 1.0 / (1 + s), *([accuracy if s else 0.0] * 3), NAN, 5.0) for s in steps
    ]
    member.wall_s = 2.0
    return member


def finished_row(config, accuracy=1.0, member=None):
    found = Accuracy(accuracy, accuracy, accuracy, NAN)
    member = member or finished_member(config, accuracy)
    return trial_row(member, final_columns(member, found, found), "cpu")


def finished_curve(config):
    return curve_rows(finished_member(config))


def finish(store, sweep, configs):
    """What the training of a sweep leaves: manifest, snapshots and rows."""
    write_manifest(store, sweep, configs, "1")
    rows = [finished_row(config) for config in configs]
    for row in rows:
        store.put(keys.snapshot_key(row["trial_id"], row["steps_run"], row["run_id"]), b"weights")
    samples = [made_up_rows("samples", {"trial_id": row["trial_id"]}) for row in rows]
    write_rows(store, "samples", sweep, [row for some in samples for row in some])
    write_rows(store, "curves", sweep, [row for c in configs for row in finished_curve(c)])
    write_rows(store, "trials", sweep, rows)
    return rows


def analyze(store, sweep, rows, analyses=ANALYSES):
    """What analyses of trials leave, their numbers made up."""
    of = [{"trial_id": row["trial_id"], "run_id": row["run_id"]} for row in rows]
    for analysis in analyses:
        for table in analysis.tables:
            write_rows(store, table, sweep, [r for trial in of for r in made_up_rows(table, trial)])
        mark = {"analysis": analysis.name, "settings": "", "checkpoints": 1, "seconds": 0.5}
        write_rows(store, "analyses", sweep, [{**t, **mark, "device": "cpu"} for t in of])


def made_up_rows(name, of):
    """Two rows of a table, whatever its columns are."""
    kinds = {"string": ("x", "y"), "int64": (1, 2), "double": (1 / 3, 1 / 7), "bool": (True, False)}
    kinds["binary"] = (b"x", b"y")
    columns = [c for c in TABLES[name].columns if c.name != "schema_version"]
    return [{c.name: kinds[str(c.type)][i] for c in columns} | of for i in range(2)]
