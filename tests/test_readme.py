"""What the documents say can be followed: links lead somewhere, commands parse, targets exist."""

import re
import shlex

import pytest

from service.cli.commands import build_parser
from sweeps import grok, grok_phase
from tests.environment import ROOT

TOP = ("README.md", "CONTRIBUTING.md", "REPRODUCTION.md", "infra/README.md")
DOCUMENTS = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").glob("*.md"))]


def text_of(document):
    return document.read_text().replace("\\\n", " ")


def commands(pattern):
    lines = (line for document in DOCUMENTS for line in text_of(document).splitlines())
    found = [match[1].split("`")[0] for line in lines if (match := re.search(pattern, line))]
    return [shlex.split(command, comments=True) for command in found]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_to_files(document):
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    local = [link for link in links if "://" not in link]
    assert not [link for link in local if not (document.parent / link).exists()]


def test_sweep_commands_are_valid_and_no_two_sweeps_share_a_name():
    """Whoever follows them one after another would mix their trials in figures and tables."""
    trials = {}
    for flags in commands(r"python sweeps/grok_phase\.py (.*)"):
        args = grok_phase.build_parser().parse_args(flags)
        configs = grok_phase.preset_configs(args.preset, grok_phase.overrides(args))
        ids = {config.trial_id for config in configs}
        name = args.name or args.preset
        assert trials.setdefault(name, ids) == ids != set(), name
    assert len(trials) >= 2


def test_grok_commands_parse():
    verbs = (
        "open|show|sample|examine|export|transfer|status|figures|table|analyze|costs|publish|"
        r"doctor|compact|gc|ui|reproduce|\w+-results"
    )
    found = commands(rf"(?:^|[ `/])grok ((?:{verbs})\b.*)")
    assert found
    for flags in found:
        build_parser(grok.add_reproduce).parse_args(flags)


def test_benchmarks_have_the_flags_that_documents_give_them():
    found = commands(r"python (tests/benchmarks/.*)")
    assert len(found) >= 4
    for script, *rest in found:
        source = (ROOT / script).read_text()
        flags = [word for word in rest if word.startswith("--")]
        assert not [flag for flag in flags if f'"{flag}"' not in source], script


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {flags[0] for flags in commands(r"(?:`|^ {4})make ([a-z]+\b)")}
    assert named <= targets, named - targets
