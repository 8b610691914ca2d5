"""The address that a sweep prints opens MLflow's table of its runs, as its view says."""

import re

import pandas as pd
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from grokmodel.configs import config_of
from service.tables.names import trial_name

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, mlflow_url, smoke_store):
    """What the sweep said to open, from the server of the tests."""
    said = (smoke_store.parent / "said").read_text()
    (address,) = re.findall(r"open (http\S+)", said)
    browser.get("about:blank")
    browser.get(re.sub(r"http://[^/]*", mlflow_url, address))
    return browser


def cells(page, column):
    """Texts of a column, by row."""
    found = page.find_elements(By.CSS_SELECTOR, f".ag-row [col-id='{column}']")
    rows = {cell.find_element(By.XPATH, "./..").get_attribute("row-index"): cell for cell in found}
    # the color of a run may stand before its name
    return [rows[index].text.splitlines()[-1] for index in sorted(rows, key=int)]


def test_the_printed_address_shows_trials_by_strict_accuracy(page, smoke_store):
    trials = pd.read_parquet(smoke_store / "tables" / "trials")
    WebDriverWait(page, 60).until(lambda page: len(cells(page, "tags.`phase`")) == 5)
    names = cells(page, "attributes.`Run Name`")
    assert names[-1] == "smoke"  # the parent has no accuracy
    rows = trials.to_dict("records")
    row_of = {trial_name(config_of(row), ["weight_decay"]): row for row in rows}
    assert set(names[:-1]) == row_of.keys()
    shown = cells(page, "metrics.`val_acc_strict`")[:-1]
    strict = [row_of[name]["val_acc_strict"] for name in names[:-1]]
    assert strict == sorted(strict, reverse=True)
    assert [float(text) for text in shown] == pytest.approx(strict, abs=6e-4)
    assert cells(page, "tags.`phase`")[:-1] == [row_of[name]["phase"] for name in names[:-1]]
