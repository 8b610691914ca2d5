"""The notebooks run from top to bottom on whatever sweep there is, and lie here as they ran."""

import importlib.util
import re
import shutil

import pytest

from tests.environment import ROOT, user_environment

REASON = "Jupyter is not installed; make test does"
nbformat = pytest.importorskip("nbformat", reason=REASON)
nbclient = pytest.importorskip("nbclient", reason=REASON)
if not all(map(importlib.util.find_spec, ("ipykernel", "nnsight"))):
    pytest.skip(REASON, allow_module_level=True)

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 1_500_000
"""Of all notebooks, with their outputs."""
A_CELL_S = 120
SETTINGS = (
    'STORE = os.environ.get("GROK_STORE", "../runs")',
    'SWEEP = os.environ.get("GROK_SWEEP", "demo")',
)
ABSOLUTE = re.compile(r"(?:^|[\s\"'(=])(?:/\w[\w.-]*){2}|[A-Z]:\\", re.MULTILINE)


@pytest.fixture(scope="module")
def environment(smoke_store, tmp_path_factory):
    """Of a user whose store has the sweep `smoke`, in which nothing grokked."""
    place = tmp_path_factory.mktemp("notebooks")
    store = shutil.copytree(smoke_store, place / "store")  # a notebook writes to it
    return user_environment(
        GROK_STORE=store, GROK_SWEEP="smoke", PYTHONPATH=ROOT, IPYTHONDIR=place / "ipython"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end(path, environment, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=A_CELL_S,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute(env=environment)  # a CellExecutionError has the cell and its traceback


def test_there_are_three_and_they_are_small():
    assert len(NOTEBOOKS) == 3
    assert sum(path.stat().st_size for path in NOTEBOOKS) < MOST_BYTES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_what_it_reads(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    words, code = notebook.cells[:2]
    assert "`make demo`" in words.source
    assert [line for line in code.source.splitlines() if line in SETTINGS] == list(SETTINGS)
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_of_one_run_and_of_no_machine(path):
    """If this fails: run it again from the start, see CONTRIBUTING.md."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    said = [o.text for o in outputs if o.output_type == "stream"]
    said += [o.data.get(f"text/{kind}", "") for o in outputs if "data" in o
             for kind in ("plain", "html")]  # fmt: skip
    assert not [found[0] for text in said if (found := ABSOLUTE.search(text))]
