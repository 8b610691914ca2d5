"""The architecture as docs/architecture.md draws it: imports point down, without a circle, and no
folder or module is too large to find one's way in."""

import ast
import re
import sys
from functools import cache

import pytest

from tests.environment import ROOT, python

LAYERS = ["sweeps", "service", "grokmodel"]
GROKMODEL_MAY = {"torch", "numpy", "safetensors", "grokmodel"}
ALSO_MAY = {"glyphs.py": {"PIL"}, "omniglot.py": {"PIL"}, "complexity.py": {"pybdm"}}
"""What single modules need, loaded only when it is used."""
MOST_FLOORS, MOST_FILES, MOST_LINES = 10, 14, 320
ENTRY, TRAINING, GRADIENT = ("sweeps.grok_phase", "grokmodel.core.training", "torch.autograd.grad")


def modules(layer):
    return sorted((ROOT / layer).rglob("*.py"))


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {name_of(path): path for layer in LAYERS for path in modules(layer)}


@cache
def imports(module):
    """Modules of ours that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & FILES.keys()
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found |= {whole} if whole in FILES else {node.module} & FILES.keys()
    return found - {module}


def package_of(module):
    """The package that holds a module; a module beside the packages stands for itself."""
    if FILES[module].name == "__init__.py":
        return module
    package = module.rpartition(".")[0]
    return module if package in ("service", "grokmodel") else package


@cache
def packages():
    """Package -> packages that its modules import."""
    graph = {package_of(module): set() for module in FILES}
    for module in FILES:
        graph[package_of(module)] |= {package_of(other) for other in imports(module)}
    return {package: others - {package} for package, others in graph.items()}


def circle(graph):
    """A way from a node back to itself, or nothing."""
    done = set()

    def walk(node, way):
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph[node]):
            if found := walk(other, [*way, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := walk(node, []))), [])


def third_party(path):
    """Top-level packages that a module imports, anywhere in it, the standard library left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"__future__"}


@pytest.mark.parametrize("layer", LAYERS)
def test_no_import_points_up(layer):
    above = set(LAYERS[: LAYERS.index(layer)])
    upward = {str(path.relative_to(ROOT)): third_party(path) & above for path in modules(layer)}
    assert not {path: names for path, names in upward.items() if names}


def test_there_is_no_circle_between_modules_nor_between_packages():
    assert circle({module: imports(module) for module in FILES}) == []
    assert circle(packages()) == []


def test_packages_stand_on_ten_floors_at_most():
    @cache
    def floor(package):
        return 1 + max((floor(other) for other in packages()[package]), default=0)

    assert max(floor(package) for package in packages()) <= MOST_FLOORS


def test_from_the_script_to_the_gradient_a_reader_opens_five_files():
    assert GRADIENT in FILES[TRAINING].read_text()
    ways, seen = [[ENTRY]], {ENTRY}
    while ways:
        way = ways.pop(0)
        if way[-1] == TRAINING:
            assert len(way) <= 5, way
            return
        for other in sorted(imports(way[-1]) - seen):
            seen.add(other)
            ways.append([*way, other])
    raise AssertionError(f"{ENTRY} does not train")


def test_grokmodel_needs_torch_numpy_and_safetensors_only():
    for path in modules("grokmodel"):
        assert third_party(path) <= GROKMODEL_MAY | ALSO_MAY.get(path.name, set()), path


def test_only_settings_reads_the_environment():
    reads = re.compile(r"os\.(environ\.get|getenv)")
    found = {n for n, path in FILES.items() if reads.search(path.read_text())}
    # Ray's own variables are read where Ray is started or asked for, torch's where it compiles
    assert found <= {"service.settings", "service.provenance", "service.schedule.cluster",
                     "service.health.endpoints", "service.schedule.tune",
                     "grokmodel.core.execution"}  # fmt: skip


def test_grok_loads_what_takes_seconds_only_when_it_is_needed():
    program = "import sys; from sweeps import grok; print(*sys.modules)"
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "mlflow", "ray", "matplotlib"} & set(done.stdout.split())


def test_workers_do_not_load_mlflow():
    """The driver alone speaks with it: neither its password nor its memory is a worker's."""
    program = "import sys; from service.worker import actor; print(*sys.modules)"
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    assert not {"mlflow", "sqlalchemy"} & set(done.stdout.split())


def test_folders_and_modules_stay_small():
    folders = {path.parent for path in FILES.values()}
    counts = {str(folder): len(list(folder.glob("*.py"))) - 1 for folder in folders}
    assert not {folder: n for folder, n in counts.items() if n > MOST_FILES}
    lengths = {str(path): len(path.read_text().splitlines()) for path in FILES.values()}
    assert not {path: n for path, n in lengths.items() if n > MOST_LINES}


def test_every_package_says_what_it_is_for():
    for module, path in FILES.items():
        if path.name == "__init__.py":
            said = ast.get_docstring(ast.parse(path.read_text())) or ""
            assert len(said) > 40, module
            if module.count(".") == 1 and module.startswith("service"):
                assert "Uses: " in said, module
                assert "Used by: " in said, module


def test_tests_mirror_the_tree():
    for layer in ("service", "grokmodel"):
        folders = {path.parent for path in (ROOT / "tests" / layer).rglob("test_*.py")}
        missing = [str(f) for f in folders if not (ROOT / f.relative_to(ROOT / "tests")).is_dir()]
        assert not missing


def test_the_document_names_every_package():
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = {p.rpartition(".")[2] for p in packages() if p.count(".") == 1}
    assert not {name for name in named if name not in text}
