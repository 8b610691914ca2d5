import pytest

from grokmodel.errors import DataError
from service.data.banks import bind_images
from service.settings import Settings
from service.store.store import Store
from service.tables.reading import done_ids
from service.tables.writing import write_rows
from tests.grokmodel.data_files import random_part, write_emnist
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config


@pytest.fixture
def roots(tmp_path):
    """Two folders with EMNIST files of the same names and sizes, and other images."""
    for seed, name in enumerate("AB"):
        (tmp_path / name).mkdir()
        for number, part in enumerate(("train", "test")):
            write_emnist(tmp_path / name, part, *random_part(10 * seed + number))
    return [str(tmp_path / name) for name in "AB"]


def test_a_trial_that_is_done_on_other_files_is_not_this_one(roots, tmp_path):
    configs = [tiny_config(data="emnist", P=3, side=8, seed=seed) for seed in range(2)]
    on_a, on_b = (bind_images(configs, root) for root in roots)
    store = Store(Settings(str(tmp_path / "store"), "", "", None))
    write_rows(store, "trials", "sweep", [finished_row(c) for c in on_a])
    assert {c.trial_id for c in bind_images(configs, roots[0])} == done_ids(store)
    assert not {c.trial_id for c in on_b} & done_ids(store)


def test_a_bound_trial_is_refused_on_other_files_and_kept_on_its_own(roots):
    bound = bind_images([tiny_config(data="emnist", P=3, side=8)], roots[0])
    assert bind_images(bound, roots[0]) == bound
    with pytest.raises(DataError, match="need the images it was trained on"):
        bind_images(bound, roots[1])
