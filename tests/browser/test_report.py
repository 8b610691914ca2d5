"""What people open is opened: the report from the store and inside MLflow's pages."""

import pandas as pd
import pytest
from mlflow import MlflowClient
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from service.report import page
from service.settings import Settings
from service.store.store import Store
from service.tables.reading import write_rows
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def trials(smoke_store):
    return pd.read_parquet(smoke_store / "tables" / "trials")


@pytest.fixture
def report(browser, smoke_store):
    browser.get("about:blank")  # a new page each time: what an earlier test did to it is gone
    browser.get(f"file://{smoke_store}/figures/smoke/report.html")
    wait_for_all_of_it(browser)
    return browser


def wait_for_all_of_it(page):
    """Chromium's driver may hand over a local page that is still being read."""
    page.find_element(By.ID, "trial-count")
    WebDriverWait(page, 60).until(
        lambda page: page.execute_script("return document.readyState") == "complete"
    )


def trial_table(page):
    return page.find_element(By.CSS_SELECTOR, "#trials ~ .table table")


def rows_of(table):
    rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
    return [[c.text for c in r.find_elements(By.TAG_NAME, "td")] for r in rows if r.is_displayed()]


def test_the_report_shows_the_numbers_of_the_tables(report, trials):
    assert report.find_element(By.ID, "trial-count").text == "4"
    table = trial_table(report)
    head = [cell.text for cell in table.find_elements(By.TAG_NAME, "th")]
    strict = {row[head.index("trial_id")]: row[head.index("strict")] for row in rows_of(table)}
    expected = trials.set_index("trial_id")["val_acc_strict"]
    assert set(strict) == set(expected.index)
    for trial_id, text in strict.items():
        assert float(text) == pytest.approx(expected[trial_id], abs=6e-4)


def test_all_pictures_of_the_report_are_inside_it(report):
    pictures = report.find_elements(By.TAG_NAME, "img")
    assert len(pictures) > 6
    for picture in pictures:
        assert picture.get_attribute("src").startswith("data:image/png;base64,")
        assert int(picture.get_attribute("naturalWidth")) > 100
    source = report.page_source
    assert 'src="http' not in source
    assert "<link" not in source


def test_a_click_sorts_a_table_and_a_word_filters_it(report):
    table = trial_table(report)
    head = table.find_elements(By.TAG_NAME, "th")
    column = [cell.text for cell in head].index("weight_decay")
    for reverse in (False, True):
        head[column].click()
        values = [float(row[column]) for row in rows_of(table)]
        assert values == sorted(values, reverse=reverse)
        assert len(set(values)) == 2
    box = report.find_element(By.CSS_SELECTOR, "#trials ~ input")
    wanted = rows_of(table)[0][0]
    box.send_keys(wanted)
    assert [row[0] for row in rows_of(table)] == [wanted]


def test_steps_that_were_not_reached_sort_by_the_last_step(browser, tmp_path):
    store = Store(Settings(str(tmp_path), "", "", None))
    found = {0: (900, 3000), 1: (None, 1000), 2: (30, 1000), 3: (None, 3000)}
    write_rows(store, "trials", "sweep", [
        finished_row(tiny_config(seed=s)) | {"train_step": step, "steps_run": last}
        for s, (step, last) in found.items()
    ])  # fmt: skip
    (tmp_path / "report.html").write_text(page.page(store, "sweep"))
    browser.get(f"file://{tmp_path}/report.html")
    wait_for_all_of_it(browser)
    table = trial_table(browser)
    head = table.find_elements(By.TAG_NAME, "th")
    column = [cell.text for cell in head].index("train step")
    head[column].click()
    assert [row[column] for row in rows_of(table)] == ["30", "900", "> 1000", "> 3000"]


def test_mlflow_shows_the_report_of_the_sweep(browser, mlflow_url, smoke_store, trials):
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
        assert browser.find_element(By.ID, "trial-count").text == str(len(trials))
        assert len(rows_of(trial_table(browser))) == len(trials)
    finally:
        browser.switch_to.default_content()
