"""Images and members that several tests of the science need."""

import os
from pathlib import Path

import pytest

from grokmodel.data.glyphs import glyph_bank
from tests.grokmodel.tiny import tiny, train_together

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="package")
def varied_glyphs():
    """Six letters, four images each."""
    return glyph_bank(6, 4, 12)


@pytest.fixture(scope="package")
def emnist_folder():
    """Folder of the real EMNIST files: GROK_DATA, or ../shared/data/emnist."""
    folder = Path(os.environ.get("GROK_DATA", ROOT.parent / "shared" / "data" / "emnist"))
    if not (folder / "emnist-bymerge-train-images-idx3-ubyte.gz").exists():
        pytest.skip(f"no EMNIST files in {folder}; name their folder by GROK_DATA")
    return folder


@pytest.fixture(scope="module")
def trained():
    """A member at the end of its training."""
    (member,) = train_together(tiny(N=2))
    return member
