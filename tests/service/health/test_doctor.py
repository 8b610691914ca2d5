"""All checks are made and said, whatever becomes of one of them."""

import json
import time

from service.cli import commands
from service.health import checks, doctor
from service.health.doctor import bounded
from service.health.finding import FAIL, OK, Check, Finding
from service.store import keys
from service.store.manifest import write_manifest
from service.tables.writing import write_rows
from tests.service.health.findings import only
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config


def test_all_is_well_with_a_good_store(one_ray, store, capsys):
    write_rows(store, "trials", "mine", [finished_row(tiny_config())])
    write_manifest(store, "mine", [tiny_config()], "1")
    assert doctor.run(store.url) == 0
    out = capsys.readouterr().out
    assert FAIL not in out
    for part in ("all is well", "1 parts, all can be read", "manifests of 1", "glyphs",
                 "a local Ray (RAY_ADDRESS is not set): 1 nodes"):  # fmt: skip
        assert part in out
    assert store.list("preflight") == []


def test_findings_for_programs(one_ray, store, capsys):
    assert commands.main(["doctor", "--json", "--store", store.url]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"check", "level", "text", "todo"} == set(found[0])
    made = {finding["check"] for finding in found}
    assert {"python", "packages", "store", "tracking", "ray", "tables"} <= made


def test_a_failing_check_makes_the_exit_code_and_says_what_to_do(one_ray, store, capsys):
    store.put(keys.sweep_key("half", "1"), b'{"tri')
    store.put(keys.table_key("trials", "mine", "bad"), b"PAR1 this is no Parquet")
    assert doctor.run(store.url) == 1
    out = capsys.readouterr().out
    for part in ("half/1.json: damaged", "delete it and run the sweep again", "bad.parquet",
                 "2 of", "a local Ray"):  # fmt: skip
        assert part in out


def test_a_file_as_store_is_said(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert doctor.run(str(tmp_path / "file")) == 1
    assert "is a file" in capsys.readouterr().out


def test_the_data_that_are_checked_are_those_of_the_flag(one_ray, store, tmp_path, capsys):
    (tmp_path / "k49-train-imgs.npz").write_bytes(b"no archive")
    assert commands.main(["doctor", "--store", store.url, "--data-root", str(tmp_path)]) == 1
    assert f"kuzushiji49: {tmp_path}/k49-train-imgs.npz: damaged" in capsys.readouterr().out


def test_a_check_that_hangs_or_breaks_is_a_finding(settings):
    def broken(settings):
        yield Finding("x", OK, "so far so good")
        raise ValueError("at mysql://me:hunter2@db\nand more")

    hanging = bounded(Check("x", lambda settings: time.sleep(60), 0.3, "Do this"), settings)
    only(hanging, FAIL, "no answer within 0 s", "Do this")
    ended = bounded(Check("x", broken, 9.0, "Do this"), settings)
    only(ended, FAIL, "ValueError: at mysql://me:***@db", "Do this")
    assert "and more" not in str(ended)


def test_every_check_is_bounded_and_says_what_to_do():
    assert all(check.limit_s <= 120 and check.hint for check in checks.CHECKS)
