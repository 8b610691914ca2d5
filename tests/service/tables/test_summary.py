"""What is said of a sweep is what its rows say."""

import shlex
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest

from service.cli.commands import build_parser
from service.settings import Settings, sqlite_uri
from service.store.store import Store
from service.tables.summary import closing_words, phase_table, settings_table, ui_command
from service.tables.writing import write_rows
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config


def trials(**changes):
    rows = [finished_row(tiny_config(seed=s)) for s in range(3)]
    rows += [finished_row(tiny_config(seed=s, **changes), accuracy=0.5 + s / 10) for s in range(2)]
    return pd.DataFrame(rows)


def test_a_setting_is_one_line_with_median_and_range():
    frame = trials(P=11).assign(train_step=10, val_step_strict=20)
    lines = settings_table(frame).splitlines()
    assert len(lines) == 2 + 2 + 2
    assert lines[2].startswith("| as below | 3 | ")
    assert lines[3].startswith("| P 11 | 2 | ")
    assert "0.55 (0.50 to 0.60)" in lines[3]
    assert lines[-1] == "Where a line does not say otherwise: P 7."


def test_steps_are_medians_over_all_trials_and_none_is_never_learned():
    frame = trials(P=11).assign(steps_run=3000)
    frame["val_step_strict"] = [100, 200, 900, None, None]
    assert "| 200 |" in settings_table(frame)  # no mean, which is 400
    frame["val_step_strict"] = [100, 200, None, None, None]
    table = settings_table(frame)
    lines = table.splitlines()
    assert "| 200 (2 of 3) |" in lines[2]
    assert "| not by 3,000 |" in lines[3]
    assert lines[-1].startswith("Steps are medians over all trials")
    frame["val_step_strict"] = [100, None, None, None, None]
    assert "| > 3,000 (1 of 3) |" in settings_table(frame)
    frame["phase"] = "memorization"
    text = phase_table(frame)
    assert "> 3,000 (1 of 5)" in text
    assert "never" not in text + table


def test_what_was_not_measured_is_counted_out_loud():
    frame = trials(P=11)
    frame["val_acc_strict"] = [0.5, None, None, None, None]
    assert "| 0.50 in 1 of 3 |" in settings_table(frame)
    frame["phase"] = ["grokking"] * 3 + ["confusion"] * 2
    lines = phase_table(frame).splitlines()
    assert lines[1].split()[:4] == ["confusion", "2", "-", "not"]
    assert "0.50 (1 of 3)" in lines[2]


def test_where_no_value_is_the_commonest_each_line_names_its_own():
    frame = pd.DataFrame([finished_row(tiny_config(weight_decay=d)) for d in (0, 0.1234567,
                          0.12345671)])  # fmt: skip
    table = settings_table(frame)
    settings = [line.split(" | ")[0] for line in table.splitlines()[2:5]]
    assert settings == ["| weight_decay 0", "| weight_decay 0.1234567", "| weight_decay 0.12345671"]
    assert "otherwise" not in table


def test_unseen_images_have_columns_where_they_were_measured():
    frame = trials(P=11)
    assert "unseen" not in settings_table(frame)
    seen = frame.assign(val_acc_heldout=0.5, val_acc_strict_heldout=0.25)
    assert "| 0.50 (0.50 to 0.50) | 0.25 (0.25 to 0.25) |" in settings_table(seen)


@pytest.mark.parametrize("name", ["plain", "a b&c'd\"e;$HOME\\"])
def test_commands_to_paste_are_for_a_store_of_any_name(tmp_path, name):
    folder = str(tmp_path / name)
    settings = Settings(folder, sqlite_uri(f"{folder}/mlflow.db"), "")
    write_rows(Store(settings), "trials", "mine", [finished_row(tiny_config())])
    lines = closing_words("mine", settings, "7").splitlines()
    address = lines[-1].removeprefix("page     open ")
    assert unquote(urlsplit(address).path) == f"{folder}/figures/mine/report.html"
    program, *words = shlex.split(next(line for line in lines if " ui " in line))
    assert program == str(Path(sys.executable).parent / "grok")
    assert build_parser().parse_args(words).store == folder
    assert "MLFLOW_TRACKING_URI" not in "".join(lines)


def test_the_pages_of_another_database_are_asked_for_by_its_name_without_a_password(tmp_path):
    mine = Settings(str(tmp_path), f"sqlite:///{tmp_path.parent}/a b.db", "")
    assert shlex.split(ui_command(mine))[0] == f"MLFLOW_TRACKING_URI={mine.tracking_uri}"
    secret = Settings(str(tmp_path), "postgresql://me:hunter2@db/mlflow", "")
    assert "URI" not in ui_command(secret)  # it is in the environment, and only there
    assert "***" not in ui_command(secret)
    text = closing_words("mine", secret, "7")
    assert "hunter2" not in text
    assert all(part in text for part in ("@db/mlflow", f"{tmp_path}/tables", "ments/7/runs?w"))
    assert "workflowType=machine_learning&viewStateShareKey=trials\n" in text


def test_the_page_of_a_store_on_s3_is_opened_by_a_command():
    settings = Settings("s3://bucket/a b", "http://mlflow:5000", "")
    *_, last = closing_words("mine", settings, "7").splitlines()
    _, *words = shlex.split(last.removeprefix("page     "))
    args = build_parser().parse_args(words)
    assert (args.sweep, args.store) == ("mine", "s3://bucket/a b")
