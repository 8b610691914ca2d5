"""Images and members that several tests of the science need."""

import os
from pathlib import Path

import pytest

from grokmodel.data.glyphs import glyph_bank
from grokmodel.data.omniglot import ARCHIVES
from tests.grokmodel.tiny import tiny, train_together

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="package")
def varied_glyphs():
    """Six letters, four images each."""
    return glyph_bank(6, 4, 12)


@pytest.fixture(scope="package")
def emnist_folder():
    """Folder of the real EMNIST files."""
    return real_files("EMNIST", "emnist-bymerge-train-images-idx3-ubyte.gz")


@pytest.fixture(scope="package")
def omniglot_folder():
    """Folder of a real archive of Omniglot."""
    return real_files("Omniglot", *ARCHIVES)


def real_files(data, *names):
    """GROK_DATA, or ../shared/data/DATA, if one of the files is there; else the test is skipped."""
    usual = ROOT.parent / "shared" / "data" / data.lower()
    folder = Path(os.environ.get("GROK_DATA", usual))
    if not any((folder / name).exists() for name in names):
        pytest.skip(f"no {data} files in {folder}; name their folder by GROK_DATA")
    return folder


@pytest.fixture(scope="module")
def trained():
    """A member at the end of its training."""
    (member,) = train_together(tiny(N=2))
    return member
