"""Drawing is a function of the store: it writes nothing, and knows of nobody who does."""

import ast
from pathlib import Path

from service import page, report
from service.report import sweep_figures, trial_figures
from service.tables.writing import write_rows
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config

MAY = {"settings", "store", "tables", "text", "colors"}


def test_the_report_needs_settings_store_and_tables_only():
    for path in [p for room in (page, report) for p in Path(room.__file__).parent.glob("*.py")]:
        nodes = ast.walk(ast.parse(path.read_text()))
        found = {n.module for n in nodes if isinstance(n, ast.ImportFrom)}
        mine = {module.split(".")[1] for module in found if module.startswith("service.")}
        mine -= {path.parent.name}
        assert mine <= MAY, f"{path.name} imports {mine - MAY}"


def contents(store):
    return {key: store.get(key) for key in store.list("")}


def test_drawing_leaves_the_store_as_it_was(store):
    config = tiny_config()
    row = finished_row(config)
    write_rows(store, "trials", "sweep", [row])
    write_rows(store, "curves", "sweep", finished_curve(config))
    failure = {"trial_id": row["trial_id"], "analysis": "figures", "checkpoint": "", "error": "E"}
    write_rows(store, "failures", "sweep", [failure | {"message": "disk full"}])
    before = contents(store)
    assert sweep_figures.draw(store, "sweep")
    names = trial_figures.TRIAL_FIGURES
    assert trial_figures.draw(store, "sweep", row, names).keys() == {"curve"}
    assert "<html" in page.page(store, "sweep")
    assert contents(store) == before
