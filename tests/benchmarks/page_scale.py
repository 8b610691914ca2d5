"""How long the page of a large sweep takes to draw and to open, and how large it is.

    python tests/benchmarks/page_scale.py --store runs --sweep demo --trials 1000

The trials of a finished sweep are multiplied under other ids, all their rows with them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pyarrow as pa

from service import page
from service.settings import Settings
from service.store.keys import table_key
from service.store.store import Store
from service.tables import parquet
from service.tables.reading import read_table
from service.tables.schema import TABLES
from service.text import byte_size

DECAYS = 5
"""Values of a further axis, so that the map has cells."""


def multiply(source: Store, sweep: str, target: Store, trials: int) -> None:
    """Every table with as many trials, a part per copy."""
    ids = list(read_table(source, "trials", sweep)["trial_id"])
    for name in [name for name in TABLES if name != "failures"]:
        rows = read_table(source, name, sweep).drop(columns="sweep")
        for copy in range(-(-trials // len(ids))):
            names = {old: f"{copy:04x}{old[4:]}" for old in ids[: trials - copy * len(ids)]}
            mine = rows[rows["trial_id"].isin(names)]
            mine = mine.assign(trial_id=mine["trial_id"].map(names))
            if name == "trials":
                mine = mine.assign(seed=copy // DECAYS, weight_decay=10.0 ** (copy % DECAYS - 2))
            found = pa.Table.from_pandas(mine, TABLES[name].arrow, preserve_index=False)
            target.put(table_key(name, "large", f"{copy:04x}"), parquet.to_bytes(found))


def opened(path: Path) -> float | None:
    """Seconds until Chromium has drawn it; None if there is no Chromium."""
    import shutil

    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"):
        options.add_argument(flag)
    with webdriver.Chrome(options=options, service=Service(driver)) as chrome:
        started = time.perf_counter()
        chrome.get(path.as_uri())
        while not chrome.execute_script("return document.documentElement.dataset.ready"):
            time.sleep(0.02)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="runs")
    parser.add_argument("--sweep", default="demo")
    parser.add_argument("--trials", type=int, nargs="+", default=[8, 100, 1000])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    measured = []
    for count in args.trials:
        with tempfile.TemporaryDirectory() as folder:
            target = Store(Settings(folder, "", "", None))
            multiply(Store(Settings(args.store, "", "", None)), args.sweep, target, count)
            seconds = {}
            for name, is_done in (("while it is trained", False), ("at the end", True)):
                started = time.process_time()
                html = page.page(target, "large", with_analyses=is_done)
                seconds[name] = round(time.process_time() - started, 2)
            path = Path(folder) / "report.html"
            path.write_text(html)
            took = opened(path)
            measured.append({"trials": count, "cpu_s": seconds, "bytes": len(html), "open_s": took})
            print(f"{count} trials: drawn in {seconds} CPU s, {byte_size(len(html))}, "
                  f"open in {took and round(took, 2)} s", flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
