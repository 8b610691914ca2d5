"""What stands in the page is what the tables say, as far as there is room."""

import base64
import gzip
import json
import math
import re

import pytest

from grokmodel.core.rows import trial_row
from grokmodel.tokens.config import TokensConfig
from grokmodel.tokens.pack import Member
from service import page
from service.page import html
from service.page.overview import few, rounded, titles_of
from service.tables.reading import read_table
from service.tables.typical import representatives
from service.tables.writing import write_rows
from tests.service.rows import finished_curve, finished_member, finished_row
from tests.service.tiny import tiny_config


@pytest.fixture
def trials(store):
    configs = [tiny_config(seed=s, weight_decay=d) for s in range(3) for d in (0, 1)]
    rows = [finished_row(c) for c in configs]
    rows[3] |= {"phase": "memorization", "val_step_strict": None, "val_acc_strict": 0.125}
    write_rows(store, "trials", "sweep", rows)
    write_rows(store, "curves", "sweep", [r for c in configs for r in finished_curve(c)])
    return read_table(store, "trials", "sweep")


def blobs(text):
    """Everything that is squeezed into a page; JSON in which there is no NaN."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON: a browser cannot read it")

    found = re.findall(r'<script type="text/plain" id="([^"]+)">([^<]*)</script>', text)
    return {
        name: json.loads(gzip.decompress(base64.b64decode(data)), parse_constant=refuse)
        for name, data in found
    }


def test_every_trial_is_there_with_its_settings_and_what_it_came_to(store, trials):
    core = blobs(page.page(store, "sweep"))["core"]
    assert core["trial"] == list(trials["trial_id"])
    assert core["setting"] == {"weight_decay": list(trials["weight_decay"])}
    strict = dict(zip(core["trial"], core["column"]["val_acc_strict"]))
    assert strict == dict(zip(trials["trial_id"], trials["val_acc_strict"]))
    lag = dict(zip(core["trial"], core["words"]["lag"]))
    (lost,) = trials.loc[trials["phase"] == "memorization", "trial_id"]
    assert lag[lost] == "> 30"  # learned its training pairs at step 10 of 40, and no strict ones
    assert {lag[i] for i in trials["trial_id"] if i != lost} == {"0"}


def test_trials_of_another_family_in_the_same_sweep_lack_its_settings_only(store):
    images = [tiny_config(side=side, patch=8) for side in (8, 16)]
    tokens = Member.start(TokensConfig(P=11, steps=20, eval_every=10))
    tokens.curve = finished_member(tiny_config()).curve
    rows = [*map(finished_row, images), trial_row(tokens, {"n_train": 5, "n_val": 5}, "cpu")]
    write_rows(store, "trials", "sweep", rows)
    core = blobs(page.page(store, "sweep"))["core"]
    side = dict(zip(core["trial"], core["setting"]["side"]))
    assert side == {images[0].trial_id: 8, images[1].trial_id: 16, tokens.config.trial_id: None}
    (values,) = [axis["values"] for axis in core["axes"] if axis["name"] == "side"]
    assert values == [8, 16]


def test_a_page_without_a_trial_is_one(store):
    assert blobs(page.page(store, "sweep"))["core"]["trial"] == []


def test_where_there_is_no_room_for_all_typical_trials_come_first(store, trials, monkeypatch):
    whole = blobs(page.page(store, "sweep"))
    assert {f"t-{i}" for i in trials["trial_id"]} <= whole.keys()
    size = len(html._squeezed(whole[f"t-{trials['trial_id'][0]}"]))
    monkeypatch.setattr(html, "MOST_BYTES", int(2 * 2.5 * size))
    some = blobs(page.page(store, "sweep"))
    assert {n for n in some if n != "core"} == {f"t-{i}" for i in representatives(trials)}
    assert some["core"]["trial"] == whole["core"]["trial"]


def test_samples_of_a_step_that_its_run_never_made_are_left_out(store, trials):
    """Two drivers trained the trial, and the other one took longer."""
    row = trials.iloc[0]
    image = bytes(range(64))
    of = {"trial_id": row["trial_id"], "pairs": "strict", "a": 1, "b": 2, "c": 3, "sample": 0}
    images = dict.fromkeys(("image_a", "image_b", "image_c", "image"), image)
    rows = [{**of, **images, "step": s, "sampled": 3} for s in (0, 40, 80)]
    write_rows(store, "samples", "sweep", rows)
    samples = blobs(page.page(store, "sweep"))[f"t-{row['trial_id']}"]["samples"]
    assert samples["steps"] == [0, 40]
    drawn = base64.b64decode(samples["drawn"])
    gray = [level for byte in drawn[:32] for level in (byte >> 4, byte & 15)]
    assert gray == [round(value / 17) for value in image]


def test_numbers_keep_four_digits_steps_all_of_them_and_what_is_unknown_is_null():
    given = [0.123456, 98765.4321, 123456, 0.0, -0.00012345678, math.nan, math.inf, None]
    assert rounded(given) == [0.1235, 98770.0, 123456, 0, -0.0001235, None, None, None]
    assert [type(v) for v in rounded([3.0, 3.5])] == [int, float]
    assert rounded([]) == []


def test_of_many_points_the_first_and_the_last_are_kept():
    assert few(5, 10).tolist() == [0, 1, 2, 3, 4]
    found = few(1000, 40)
    assert (found[0], found[-1], len(found) <= 40) == (0, 999, True)


def test_numbers_and_curves_have_the_names_of_what_a_family_learns():
    titles, curves = titles_of(["parity"])
    assert titles["val_acc_strict"] == curves["strict"] == "longer sequences"
    assert titles["train_step"] == "learned: training sequences"
    assert list(curves) == ["strict", "train"]  # it has no other validation
    pairs, of_pairs = titles_of(["image"])
    assert (pairs["train_step"], of_pairs["val"]) == (
        "training pairs learned", "accuracy on validation pairs",
    )  # fmt: skip
    assert titles_of(["tokens"]) == titles_of(["image", "parity"]) == (pairs, of_pairs)
