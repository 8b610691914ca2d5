"""What a user, a disk or another program may hand over: values, configs, damaged bytes."""

import dataclasses

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from grokmodel.core.config import MAX_SEED, MAX_STEPS
from grokmodel.core.fields import BELOW_ONE, LARGEST, SMALLEST
from grokmodel.image.config import AXES, FIELDS

CHOICES = {name: field.choices for name, field in FIELDS.items() if field.choices}
REALS = [name for name, field in FIELDS.items() if field.type is float]


def share(part):
    """Settings for a test that is slow (a small part of the profile's examples) or fast."""
    return settings(max_examples=max(1, round(part * settings.default.max_examples)))


# --- values --------------------------------------------------------------------------------------

INTS = st.one_of(
    st.integers(-3, 70),
    st.integers(),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 10**5000]),
)
FLOATS = st.one_of(
    st.floats(),
    st.floats(0, 1),
    st.sampled_from([SMALLEST, SMALLEST / 2, LARGEST, 1e39, BELOW_ONE, 1 - 1e-12, -0.0]),
)
TEXTS = st.one_of(st.text(), st.sampled_from(["", "8", "add", "a\nb", "\ud800", "∘", "x" * 9999]))
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.binary(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
    st.sampled_from([np.bool_(True), np.float32(0.5), np.int64(7), np.float64("nan"), object()]),
    st.sampled_from([np.arange(3), np.array([3]), np.array(3), np.str_("add"), int, ...]),
)
ANYTHING = st.one_of(INTS, FLOATS, TEXTS, ODD)


def of_field(name):
    """Values of the field's own type, most of them possible."""
    field = FIELDS[name]
    if field.choices:
        return st.sampled_from(field.choices)
    if field.type is bool:
        return st.booleans()
    low, high = field.bounds.low, field.bounds.high
    near = st.integers(low, min(high, low + 40)) if field.type is int else st.floats(low, high)
    return st.one_of(near, st.sampled_from([low, high]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


@st.composite
def some_fields(draw, values):
    """A few fields and a value of each, of `values(name)`."""
    names = draw(st.lists(st.sampled_from(list(AXES)), unique=True, max_size=6))
    return {name: draw(values(name)) for name in names}


# --- configs -------------------------------------------------------------------------------------


def divisors(n, at_least=1):
    return st.sampled_from([k for k in range(at_least, n + 1) if n % k == 0])


@st.composite
def edge_fields(draw, tiles=12):
    """Fields of a trial that is small enough to be run, at the edges of what is allowed.

    Args:
        tiles: tokens along the side of an image, at most.
    """
    ints = st.integers
    side = draw(st.sampled_from([8, 9, 12]))
    width = 2 * draw(ints(1, 8))
    t_levels, eval_every = draw(ints(1, 4)), draw(ints(1, 3))
    fields = {
        "P": draw(ints(3, 8)),
        "N": draw(ints(1, 3)),
        "train_fraction": draw(st.floats(0.05, 0.95)),
        "side": side,
        "patch": draw(divisors(side, -(-side // tiles))),
        "width": width,
        "heads": draw(divisors(width)),
        "depth": draw(ints(1, 2)),
        "ffn": draw(ints(1, 9)),
        "t_levels": t_levels,
        "batch": t_levels * draw(ints(1, 6)),
        "eval_every": eval_every,
        "steps": eval_every * draw(ints(1, 2)),
        "sample_steps": draw(ints(1, 2)),
        "final_sample_steps": draw(ints(1, 3)),
        "warmup": draw(st.sampled_from([0, 1, 10, MAX_STEPS])),
        "eval_pairs": draw(st.sampled_from([1, 2, 64, MAX_STEPS])),
        "seed": draw(st.sampled_from([0, 1, MAX_SEED])),
    }
    for name in CHOICES.keys() - {"data"}:
        fields[name] = draw(of_field(name))
    fields["input_gate"] = draw(st.booleans())
    for name in draw(st.lists(st.sampled_from(REALS), unique=True, max_size=2)):
        if name != "train_fraction":
            fields[name] = draw(of_field(name))
    return fields


# --- damage --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Damage:
    """What happened to some bytes; places are shares of their length."""

    kind: str
    place: float
    bits: int
    extra: bytes

    def __call__(self, data):
        at = min(int(self.place * len(data)), max(len(data) - 1, 0))
        if self.kind == "cut":
            return data[:at]
        if self.kind == "flip":
            return data[:at] + bytes([data[at] ^ self.bits]) + data[at + 1 :]
        if self.kind == "insert":
            return data[:at] + self.extra + data[at:]
        if self.kind == "remove":
            return data[:at] + data[at + len(self.extra) :]
        if self.kind == "zero":
            return data[:at] + bytes(len(data[at : at + 64])) + data[at + 64 :]
        return self.extra


def damages():
    """Damage anywhere; the beginning and the end, where formats have their heads, more often."""
    places = st.one_of(
        st.floats(0, 1, exclude_max=True), st.floats(0, 0.01), st.floats(0.99, 1, exclude_max=True)
    )
    kinds = st.sampled_from(["cut", "flip", "flip", "insert", "remove", "zero", "other"])
    extra = st.one_of(st.binary(min_size=1, max_size=9), st.sampled_from([b"", b"PAR1", b"PK\3\4"]))
    return st.builds(Damage, kinds, places, st.integers(1, 255), extra)
