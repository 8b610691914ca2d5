"""Flags and presets of trials of other families than images."""

import pytest

from grokmodel.configs import CONFIGS
from grokmodel.errors import ConfigError
from sweeps import grok_boundary, grok_phase
from sweeps.presets import PRESETS, family_of_preset, preset_configs


def configs_of(*flags):
    args = grok_phase.build_parser().parse_args(flags)
    return preset_configs(args.preset, grok_phase.overrides(args))


def test_every_family_has_a_preset_of_its_name_or_is_the_first():
    for name in list(CONFIGS)[1:]:
        assert {c.family for c in configs_of("--family", name, "--preset", name)} == {name}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_of_one_family(name):
    assert {config.family for config in configs_of("--preset", name)} == {family_of_preset(name)}


def test_flags_are_of_the_family_that_is_asked_for():
    (config,) = configs_of("--family", "tokens", "--P", "31", "--ffn", "64")
    assert (config.family, config.P, config.ffn, config.train_fraction) == ("tokens", 31, 64, 0.3)
    two = configs_of("--preset", "parity", "--gain", "0.5", "--train-fraction", "1", "--seeds", "2")
    assert [(c.gain, c.seed) for c in two] == [(0.5, 0), (0.5, 1)]
    (image,) = configs_of("--P", "31")
    assert image.family == "image"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--gain", "1"], "--gain .* setting of parity, not of image"),
        (["--family", "tokens", "--images", "9"], "--images .* setting of rules, not of tokens"),
        (["--family", "rules", "--group-size", "5"], "group_size = 5 .*one of 2, 3, 4, 6"),
        (["--family", "tokens", "--side", "8"], "--side .* setting of image, not of tokens"),
        (["--family", "parity", "--P", "7"], "--P .* setting of image and tokens, not of parity"),
        (["--family", "tokens", "--recipe", "fast"], "--recipe .* of image"),
        (["--family", "image", "--preset", "tokens"], "--family .* tokens: preset tokens"),
        (["--family", "tokens", "--preset", "demo"], "--family .* image: preset demo"),
        (["--family", "parity", "--val-length", "5"], "val_length = 5 .*above max_length = 10"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(flags, words):
    with pytest.raises(ConfigError, match=words):
        configs_of(*flags)


def test_an_unknown_family_is_one_line(capsys):
    with pytest.raises(SystemExit):
        configs_of("--family", "sound")
    assert "invalid choice: 'sound'" in capsys.readouterr().err


def test_a_boundary_may_be_one_of_another_family():
    flags = ["--family", "tokens", "--x", "train_fraction", "0.2", "0.6", "--y", "weight_decay"]
    flags += ["0.1", "10", "--P", "23", "--cells", "4", "4"]
    plane = grok_boundary.plane_of(grok_boundary.build_parser().parse_args(flags))
    (config,) = plane.configs((0, 0))
    assert (config.family, config.P) == ("tokens", 23)


def test_help_tells_the_defaults_of_every_family(capsys):
    with pytest.raises(SystemExit):
        grok_phase.build_parser().parse_args(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "(default: 23; tokens: 113)" in said
    assert "of family parity alone" in said
