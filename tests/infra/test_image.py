"""The image: its Dockerfile, what it copies, and the lock of what it installs."""

import importlib.metadata
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra import lock
from tests.environment import ROOT

DOCKERFILE = ROOT / "Dockerfile"
HADOLINT = Path(sys.executable).parent / "hadolint"
CUDA = re.compile(r"nvidia-|cuda-|triton")
"""What the CUDA build of torch needs beyond the CPU build that tests run with."""


def locked():
    """Version and hashes of every package in the lock."""
    text = lock.LOCK.read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    pairs = [(words[0].split("=="), words[1:]) for words in lines]
    return {name: (version, hashes) for (name, version), hashes in pairs}


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(name): version.split("+")[0] for name, version in pairs}


def test_versions_are_those_that_are_tested():
    tested = constraints()
    versions = {name: version for name, (version, _) in locked().items()}
    others = {name for name in versions if name not in tested}
    assert {n: v for n, v in versions.items() if n in tested and tested[n] != v} == {}
    assert not [name for name in others if not CUDA.match(name)]
    assert {"torch", "ray", "mlflow", "psycopg", "triton"} <= versions.keys()
    for name, (_, hashes) in locked().items():
        assert hashes, name
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word) for word in hashes), name


def test_the_lock_has_all_that_the_project_needs():
    """All that is needed by what is needed, as it is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [need for name in lock.EXTRAS for need in project["optional-dependencies"][name]]
    waiting = [Requirement(text) for text in [*project["dependencies"], *extras]]
    have, seen = locked(), set()
    while waiting:
        need = waiting.pop()
        for extra in ["", *need.extras]:
            name = canonicalize_name(need.name)
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            assert name in have, f"{name}: python infra/lock.py"
            assert need.specifier.contains(have[name][0], prereleases=True), need
            for text in importlib.metadata.requires(name) or []:
                inner = Requirement(text)
                if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                    waiting.append(inner)
    assert len(seen) > 100


def test_the_lock_is_written_from_what_uv_says():
    wheels = [{"hashes": {"sha256": "b" * 64}}, {"hashes": {"sha256": "a" * 64}}]
    packages = [
        {"name": "b", "version": "2", "wheels": wheels[:1]},
        {"name": "a", "version": "1", "wheels": wheels},
    ]
    first, *rest = lock.lock_text({"packages": packages}).removeprefix(lock.HEADER).split("b==2")
    assert first == f"a==1 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
    assert rest == [f" \\\n    --hash=sha256:{'b' * 64}\n"]


def test_the_linter_has_nothing_to_say():
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert "hadolint ignore" not in DOCKERFILE.read_text()


def instructions():
    """Words of every instruction, in order."""
    text = re.sub(r"(?m)^#.*\n", "", DOCKERFILE.read_text()).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line]


def test_the_image_is_pinned_and_not_roots():
    bases = {words[1] for words in instructions() if words[0] == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases.pop())
    users = [words[1] for words in instructions() if words[0] == "USER"]
    assert users == ["10001:10001"]
    assert "--require-hashes" in DOCKERFILE.read_text()


@pytest.mark.cluster
def test_what_is_copied_is_enough(tmp_path):
    """In a folder with only that, every module can be imported and the entry script runs."""
    copies = [words[1:] for words in instructions() if words[0] == "COPY"]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for *sources, _ in [words for words in copies if not words[0].startswith("--from")]:
        for source in sources:
            assert f"!{source}" in ignored, f"{source} is not sent to the builder"
            if (ROOT / source).is_dir():
                skip = shutil.ignore_patterns("__pycache__", "local")
                shutil.copytree(ROOT / source, tmp_path / source, ignore=skip)
            else:
                shutil.copy(ROOT / source, tmp_path / source)
    modules = [
        ".".join(path.relative_to(tmp_path).with_suffix("").parts)
        for path in tmp_path.rglob("*.py")
        if path.stem != "__init__"
    ]
    script = f"import importlib, service.cli\nfor m in {modules}: importlib.import_module(m)\n"
    for command in (["-c", script + "print(service.cli.__file__)"], ["sweeps/grok_phase.py", "-h"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert str(tmp_path) in done.stdout or "--preset" in done.stdout
