"""Imports point down only: sweeps -> service -> grokmodel, which needs little itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ["sweeps", "service", "grokmodel"]
GROKMODEL_MAY = {"torch", "numpy", "safetensors", "grokmodel"}
ALSO_MAY = {"glyphs.py": {"PIL"}, "complexity.py": {"pybdm"}}
"""What single modules need, loaded only when it is used."""


def imported_packages(path):
    """Top-level packages that a module imports, anywhere in it, the standard library left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"__future__"}


def modules(layer):
    return sorted((ROOT / layer).rglob("*.py"))


@pytest.mark.parametrize("layer", LAYERS)
def test_no_import_points_up(layer):
    above = set(LAYERS[: LAYERS.index(layer)])
    upward = {
        str(path.relative_to(ROOT)): imported_packages(path) & above for path in modules(layer)
    }
    assert not {path: names for path, names in upward.items() if names}


def test_grokmodel_needs_torch_numpy_and_safetensors_only():
    for path in modules("grokmodel"):
        assert imported_packages(path) <= GROKMODEL_MAY | ALSO_MAY.get(path.name, set()), path


def test_grok_loads_what_takes_seconds_only_when_it_is_needed():
    program = "import sys; from sweeps import grok; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "mlflow", "ray", "matplotlib"} & set(done.stdout.split())


def test_workers_do_not_load_mlflow():
    """The driver alone speaks with it: neither its password nor its memory is a worker's."""
    program = "import sys; from service.worker import actor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"mlflow", "sqlalchemy"} & set(done.stdout.split())


def test_modules_stay_short():
    lengths = {path: len(path.read_text().splitlines()) for x in LAYERS for path in modules(x)}
    assert not {str(path): n for path, n in lengths.items() if n > 320}
