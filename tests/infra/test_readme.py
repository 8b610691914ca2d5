"""infra/README.md can be followed, and its commands for secrets make what the manifests want."""

import re

from infra import secrets_file
from tests.infra.manifests import K8S, PLACEHOLDER, ROOT, load

README = ROOT / "infra" / "README.md"


def test_files_that_commands_name_exist_or_are_made():
    lines = [line for line in README.read_text().splitlines() if line.startswith("    ")]
    named = set(re.findall(r"\b(?:infra|sweeps)/[\w/.-]+", "\n".join(lines)))
    made = set(re.findall(r"> (\S+)", "\n".join(lines)))
    assert made == {"infra/k8s/secrets.yaml", "infra/.env"}
    assert len(named) > 6
    assert not [name for name in named - made if not (ROOT / name).exists()]


def test_secrets_of_the_cluster(monkeypatch, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a/b+c")
    assert secrets_file.main([]) == 0
    made = load(capsys.readouterr().out)
    example = load((K8S / "secrets.example.yaml").read_text())
    values = [value for secret in made for value in secret["stringData"].values()]
    assert [s["stringData"].keys() for s in made] == [s["stringData"].keys() for s in example]
    assert PLACEHOLDER not in values
    assert len(set(values)) == len(values)
    assert [s["stringData"]["username"] for s in made if "username" in s["stringData"]] == ["grok"]
    assert made[2]["stringData"] == {"access-key": "key", "secret-key": "a/b+c"}
    others = [{k: v for k, v in s.items() if k != "stringData"} for s in made]
    assert others == [{k: v for k, v in s.items() if k != "stringData"} for s in example]


def test_without_an_s3_key_nothing_is_made(monkeypatch, capsys):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert secrets_file.main([]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "AWS_ACCESS_KEY_ID" in output.err


def test_secrets_of_compose(capsys):
    assert secrets_file.main(["--compose"]) == 0
    pairs = [line.split("=") for line in capsys.readouterr().out.splitlines()]
    compose = (ROOT / "infra" / "compose.yaml").read_text()
    assert {name for name, _ in pairs} == set(re.findall(r"\$\{(\w+):\?", compose))
    assert len({value for _, value in pairs}) == len(pairs)
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for _, value in pairs)
