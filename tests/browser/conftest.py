"""A headless Chromium, and a real sweep with its report and MLflow's pages."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1200",
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium or chromedriver; Debian: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    with webdriver.Chrome(options=options, service=Service(driver)) as chrome:
        chrome.implicitly_wait(30)
        yield chrome


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    """The store of a real sweep of four tiny trials, made as a user makes it."""
    store = tmp_path_factory.mktemp("sweep") / "store"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "GROK_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, str(ROOT / "sweeps" / "grok_phase.py"), "--preset", "smoke"],
        env=env | {"GROK_STORE": str(store)}, cwd=ROOT, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return store


@pytest.fixture(scope="session")
def mlflow_url(sweep):
    """MLflow's pages over the sweep's database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri"]
    command += [f"sqlite:///{sweep}/mlflow.db", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url, server, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        assert server.poll() is None, "MLflow ended"
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, "MLflow does not answer"
            time.sleep(0.5)
