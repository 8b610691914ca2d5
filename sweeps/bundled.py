"""The bundles of a repository: what they hold counts as done, on any machine."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from grokmodel.errors import ConfigError
from grokmodel.image.config import TrialConfig
from grokmodel.image.pack import BankKey, bank_key
from service.tables.bundle import INDEX, Bundle, BundleError, find, read
from sweeps.paper import Scale

FOLDER = "results"
"""Beside the document."""


@dataclass(frozen=True)
class Bundled:
    """Bundles, read and checked."""

    bundles: tuple[Bundle, ...] = ()

    @cached_property
    def trial_ids(self) -> frozenset[str]:
        """Trials that are done."""
        return frozenset(i for bundle in self.bundles for i in bundle.runs)

    @cached_property
    def hashes(self) -> dict[BankKey, str]:
        """Hash of the images of every bank, of whatever images, that a trial was trained on."""
        found = (bundle.configs[i] for bundle in self.bundles for i in bundle.runs)
        configs = [config for config in found if isinstance(config, TrialConfig)]
        return {_any_images(config): config.images_hash for config in reversed(configs)}

    def has(self, scale: Scale) -> bool:
        """Whether all trials of a scale are done, so that it needs neither time nor data."""
        return bool(self.bundles) and {c.trial_id for c in scale.configs} <= self.trial_ids

    def bind(self, scale: Scale) -> Scale:
        """The scale with its trials on the images that theirs were trained on, where there are
        such."""
        if not self.bundles:
            return scale
        configs = [
            c.with_images(self.hashes.get(_any_images(c), c.images_hash)) for c in scale.configs
        ]
        return dataclasses.replace(scale, bound=tuple(configs))


NO_BUNDLES = Bundled()


def bundled(args: argparse.Namespace) -> Bundled:
    """The bundles that the flags name, or those beside the document.

    Raises:
        ConfigError: there is none where there should be.
        BundleError: one cannot be used.
    """
    if args.no_results:
        return NO_BUNDLES
    folder = Path(args.out).parent / FOLDER if args.results is None else Path(args.results)
    found = find(folder)
    if args.results is not None and not found:
        raise ConfigError("--results", args.results, f"a folder with bundles, each with {INDEX}")
    try:
        return Bundled(tuple(map(read, found)))
    except BundleError as error:
        raise BundleError(f"{error}; without it: --no-results") from error


def _any_images(config: TrialConfig) -> BankKey:
    return bank_key(config.with_images(""))
