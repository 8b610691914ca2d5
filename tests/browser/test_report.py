"""The page of a sweep is used as people use it: from the store and inside MLflow's pages."""

import time

import pandas as pd
import pytest
from mlflow import MlflowClient
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from service import page
from service.settings import Settings
from service.store.store import Store
from service.tables.reading import read_table
from service.tables.writing import write_rows
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config

pytestmark = pytest.mark.browser
LOADS_S = 3.0
"""In which a page of a thousand trials is open."""


@pytest.fixture(scope="module")
def trials(smoke_store):
    return pd.read_parquet(smoke_store / "tables" / "trials").set_index("trial_id")


@pytest.fixture
def report(browser, smoke_store):
    browser.get("about:blank")  # a new page each time: what an earlier test did to it is gone
    browser.get(f"file://{smoke_store}/figures/smoke/report.html")
    wait_for_all_of_it(browser)
    return browser


def wait_for_all_of_it(browser):
    WebDriverWait(browser, 60).until(
        lambda page: page.execute_script("return document.documentElement.dataset.ready")
    )


def find(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def table(browser):
    head = [cell.text for cell in find(browser, "#table th")]
    rows = [
        [cell.text.strip() for cell in row.find_elements(By.TAG_NAME, "td")]
        for row in find(browser, "#table tbody tr")
    ]
    return head, rows


def opened(browser):
    return browser.find_element(By.ID, "trial").get_attribute("data-open")


def open_trial(browser, element):
    trial_id = element.get_attribute("data-trial")
    browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))",
                           element)  # fmt: skip
    WebDriverWait(browser, 10).until(lambda browser: opened(browser) == trial_id)
    return trial_id


def put_filter(browser, text):
    box = browser.find_element(By.ID, "filter")
    box.clear()
    box.send_keys(text)


def test_the_page_shows_the_numbers_of_the_tables(report, trials):
    assert report.find_element(By.ID, "count").text == "4 trials"
    head, rows = table(report)
    strict = sorted(float(row[head.index("strict accuracy")]) for row in rows)
    assert strict == pytest.approx(sorted(trials["val_acc_strict"]), abs=6e-4)
    marks = find(report, "#map .mark")
    assert {m.get_attribute("data-trial") for m in marks} == set(trials.index)
    cells = {c.get_attribute("data-cell") for c in find(report, "[data-cell]")}
    assert cells == {f"weight_decay={d:g}" for d in trials["weight_decay"].unique()}


def test_nothing_is_fetched(report):
    urls = report.execute_script(
        "return performance.getEntriesByType('resource').map(entry => entry.name)"
    )
    assert not [url for url in urls if not url.startswith(("data:", "file:", "blob:"))]
    assert "<link" not in report.page_source


def test_a_filter_narrows_map_curves_and_table_and_says_what_it_cannot_read(report, trials):
    put_filter(report, "weight_decay >= 1 and seed == 0")
    assert report.find_element(By.ID, "count").text == "1 of 4 trials"
    assert len(table(report)[1]) == 1
    assert len(find(report, "#map .mark")) == 1
    put_filter(report, "weight >= 1")
    error = report.find_element(By.ID, "filter-error").text
    assert 'unknown field "weight"; one of' in error
    assert "weight_decay" in error
    report.find_element(By.ID, "reset").click()
    assert len(table(report)[1]) == 4
    assert report.find_element(By.ID, "filter-error").text == ""


def test_a_click_on_a_cell_shows_its_trials_and_on_a_mark_its_trial(report, trials):
    cell = find(report, "[data-cell='weight_decay=1']")[0]
    cell.send_keys(Keys.ENTER)
    head, rows = table(report)
    assert {row[head.index("weight decay")] for row in rows} == {"1"}
    assert len(rows) == (trials["weight_decay"] == 1).sum()
    report.find_element(By.ID, "reset").click()
    for mark in find(report, "#map .mark")[::3]:
        trial_id = open_trial(report, mark)
        assert f"seed {trials.loc[trial_id, 'seed']}" in find(report, "#trial h2")[0].text


def test_a_drag_over_the_map_chooses_the_cells_that_it_meets(report):
    first, last = find(report, "[data-cell]")
    ActionChains(report).move_to_element_with_offset(
        first, -20, 12
    ).click_and_hold().move_to_element_with_offset(last, 0, -12).release().perform()
    assert len(find(report, ".cell.chosen")) == 2


def test_the_samples_of_a_trial_are_those_of_the_table_at_every_snapshot(report, smoke_store):
    trial_id = open_trial(report, find(report, "#table tbody tr")[0])
    rows = read_table(
        Store(Settings(str(smoke_store), "", "", None)), "samples", "smoke", [trial_id]
    )
    rows = rows.sort_values(["step", "sample"])
    slider = find(report, "#trial input[type=range]")[0]
    steps = sorted(rows["step"].unique())
    for place, step in ((len(steps) - 1, steps[-1]), (0, steps[0])):
        report.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
            slider, place,
        )  # fmt: skip
        mine = rows[rows["step"] == step]
        said = [s.text for s in find(report, "#trial .sample .said:last-child")]
        assert said == [
            f"{'✓' if read == c else '✗'} reads {read:g}"
            for read, c in zip(mine["sampled"], mine["c"], strict=True)
        ]
        canvas = find(report, "#trial .sample canvas:nth-child(4)")[2]
        drawn = report.execute_script(
            "const c = arguments[0];"
            "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]", canvas
        )  # fmt: skip
        ink = [255 - value for value in drawn[::4]]
        assert ink == pytest.approx(list(mine["image"].iloc[2]), abs=9)  # of sixteen grays


def test_a_pinned_trial_is_compared_at_the_same_step(report):
    ids = [row.get_attribute("data-trial") for row in find(report, "#table tbody tr")]
    open_trial(report, find(report, f"#table tr[data-trial='{ids[0]}']")[0])
    find(report, "#trial button[aria-pressed]")[0].click()
    open_trial(report, find(report, f"#table tr[data-trial='{ids[1]}']")[0])
    sliders = find(report, "#trial input[type=range]")
    assert len(sliders) == 2
    report.execute_script(
        "arguments[0].value = 1; arguments[0].dispatchEvent(new Event('input'))", sliders[0]
    )
    assert [slider.get_attribute("value") for slider in sliders] == ["1", "1"]


def test_a_heading_sorts_and_the_keyboard_opens(report):
    head, _ = table(report)
    column = head.index("weight decay")
    cell = find(report, "#table th")[column]
    cell.send_keys(Keys.ENTER)
    values = [float(row[column]) for row in table(report)[1]]
    assert values == sorted(values)
    row = find(report, "#table tbody tr")[-1]
    row.send_keys(Keys.ENTER)
    WebDriverWait(report, 10).until(lambda b: opened(b) == row.get_attribute("data-trial"))


def page_of(browser, folder, configs, **changes):
    """The page of made-up trials, opened; returns the seconds that took."""
    store = Store(Settings(str(folder), "", "", None))
    rows = [finished_row(c) | {k: v[i] for k, v in changes.items()} for i, c in enumerate(configs)]
    write_rows(store, "trials", "sweep", rows)
    write_rows(store, "curves", "sweep", [r for c in configs for r in finished_curve(c)])
    (folder / "report.html").write_text(page.page(store, "sweep"))
    browser.get("about:blank")
    started = time.monotonic()
    browser.get(f"file://{folder}/report.html")
    wait_for_all_of_it(browser)
    return time.monotonic() - started


def test_steps_that_were_not_reached_sort_by_the_last_step(browser, tmp_path):
    page_of(browser, tmp_path, [tiny_config(seed=s) for s in range(4)],
            train_step=[900, None, 30, None], steps_run=[3000, 1000, 1000, 3000])  # fmt: skip
    head, _ = table(browser)
    column = head.index("training pairs learned")
    for _ in range(2):
        find(browser, "#table th")[column].click()
    assert [row[column] for row in table(browser)[1]] == ["30", "900", "> 1000", "> 3000"]


def test_values_of_an_axis_stand_by_log_where_they_are_spread_so_and_zero_has_a_break(
    browser, tmp_path
):
    decays, shares = (0, 0.1, 1, 10, 100), (0.4, 0.5, 0.6, 0.8)
    page_of(browser, tmp_path, [tiny_config(weight_decay=d, train_fraction=f, seed=s)
                                for d in decays for f in shares for s in range(2)])  # fmt: skip
    assert "weight decay is logarithmic, 0 apart" in browser.find_element(By.ID, "map-note").text
    cells = {c.get_attribute("data-cell"): c.find_element(By.TAG_NAME, "rect").rect
             for c in find(browser, "[data-cell]")}  # fmt: skip
    assert len(cells) == 20
    widths = {round(cells[f"weight_decay={d:g};train_fraction=0.4"]["width"]) for d in decays}
    assert max(widths) - min(widths) <= 1  # even in log
    heights = [cells[f"weight_decay=1;train_fraction={f}"]["height"] for f in shares]
    assert heights[2] > 1.3 * heights[0]  # linear: 0.6 is farther from 0.8
    assert len(find(browser, "[data-cell] .mark")) == 40


@pytest.mark.cluster
def test_a_thousand_trials_open_in_three_seconds(browser, tmp_path):
    configs = [tiny_config(weight_decay=d / 10, train_fraction=f / 10, seed=s)
               for d in range(1, 26) for f in range(3, 8) for s in range(8)]  # fmt: skip
    assert page_of(browser, tmp_path, configs) < LOADS_S
    put_filter(browser, "weight_decay >= 2 and train_fraction == 0.5")
    assert browser.find_element(By.ID, "count").text == "48 of 1,000 trials"
    labels = find(browser, "#map-controls label")
    (color,) = [label for label in labels if label.text.startswith("color")]
    Select(color.find_element(By.TAG_NAME, "select")).select_by_visible_text("lag")
    assert find(browser, "#map [data-cell]")


def test_mlflow_shows_the_page_of_the_sweep(browser, mlflow_url, smoke_store, trials):
    client = MlflowClient(f"sqlite:///{smoke_store}/mlflow.db")
    experiment = client.get_experiment_by_name("smoke").experiment_id
    (parent,) = client.search_runs([experiment], "tags.`grok.kind` = 'sweep'")
    browser.get(
        f"{mlflow_url}/#/experiments/{experiment}/runs/{parent.info.run_id}/artifacts/report.html"
    )
    frame = WebDriverWait(browser, 60).until(lambda page: page.find_element(By.TAG_NAME, "iframe"))
    browser.switch_to.frame(frame)
    try:
        wait_for_all_of_it(browser)
        assert browser.find_element(By.ID, "count").text == f"{len(trials)} trials"
        open_trial(browser, find(browser, "#map .mark")[0])
        assert find(browser, "#trial canvas")
    finally:
        browser.switch_to.default_content()
