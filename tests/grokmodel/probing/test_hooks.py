import pytest
import torch

from grokmodel.probing.hooks import NO_HEAD, HookPoint, editor, hook_points, last_ffn
from tests.grokmodel.analysis.handmade import probe_of, random_member, recorded
from tests.grokmodel.tiny import tiny

STRUCTURES = [
    {},
    {"variant": "sandwich"},
    {"depth": 2},
    {"heads": 2},
    {"patch": 4},
    {"activation": "swiglu"},
    {"variant": "sandwich", "depth": 2, "heads": 2, "patch": 4, "activation": "swiglu"},
]
ALL = STRUCTURES[-1]


def activations_of(**changes):
    """Shape of a random member's model and its activations by name."""
    config = tiny(P=5, **changes)
    return config.shape, recorded(probe_of(random_member(config)))


# --- which hook points there are ------------------------------------------------------------------


@pytest.mark.parametrize("changes", STRUCTURES)
def test_sites_come_in_the_order_of_the_forward_pass(changes):
    shape, values = activations_of(**changes)
    forward = list(values)
    # queries, keys and values follow from the same input: none comes before the others
    alike = {"key": "query", "value": "query"}
    blocks = [point.name.removesuffix(point.kind) for point in hook_points(shape)]
    names = [b + alike.get(point.kind, point.kind) for b, point in zip(blocks, hook_points(shape))]
    found = [forward.index(name) for name in names]
    assert found == sorted(found)


def test_labels_name_the_operand_and_not_the_head():
    assert HookPoint("block0.value", "a", 1).label == "block0.value[a]"
    assert HookPoint("block0.head_output", head=1).label == "block0.head_output"
    assert HookPoint("output").head == NO_HEAD
    assert HookPoint("block1.ffn.post").kind == "post"
    assert last_ffn(tiny(depth=2, variant="sandwich").shape) == HookPoint("block1.ffn.post")


# --- parts ----------------------------------------------------------------------------------------


def numbered(values):
    """The same tensors, every element with a number of its own."""
    return {k: torch.arange(v.numel(), dtype=torch.float64).view_as(v) for k, v in values.items()}


@pytest.mark.parametrize("changes", STRUCTURES)
def test_hook_points_are_parts_of_all_activations_but_the_weights_and_share_no_element(changes):
    shape, values = activations_of(**changes)
    values, points = numbered(values), hook_points(shape)
    assert len({(point.label, point.head) for point in points}) == len(points)
    seen = {}
    for point in points:
        part = point.view(values[point.name], shape)
        assert part.shape[:3] == (1, 25, shape.tokens_per_image), point
        seen.setdefault(point.name, []).append(part.flatten())
    for name, parts in seen.items():
        elements = torch.cat(parts)
        assert len(elements.unique()) == len(elements) > 0, name
    assert set(values) - set(seen) == {f"block{i}.weight" for i in range(shape.depth)}


@pytest.mark.parametrize(
    ("point", "tokens"),
    [
        (HookPoint("embedding", "a"), slice(0, 4)),
        (HookPoint("embedding", "b"), slice(4, 8)),
        (HookPoint("block0.key", "b", 1), slice(4, 8)),
        (HookPoint("block0.query", head=1), slice(8, 12)),
        (HookPoint("block1.query", head=1), slice(0, 4)),
        (HookPoint("sandwich.ffn.pre"), slice(8, 12)),
        (HookPoint("block0.attention"), slice(8, 12)),
        (HookPoint("output"), slice(0, 4)),
    ],
)
def test_a_site_has_the_tokens_of_its_image(point, tokens):
    """With 4 tokens per image; the last block sees c-tokens only."""
    shape, values = activations_of(**ALL)
    value = numbered(values)[point.name]
    expected = value[:, :, tokens]
    if point.head != NO_HEAD:
        expected = expected[:, :, :, point.head]
    assert torch.equal(point.view(value, shape), expected)


@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize("kind", ["score", "weighted_value"])
def test_a_score_belongs_to_a_token_of_c_that_looks_at_one_of_an_operand(block, kind):
    shape, values = activations_of(**ALL)
    name = f"block{block}.{kind}"
    value = numbered(values)[name]
    rows = slice(8, 12) if block == 0 else slice(0, 4)
    for operand, tokens in (("a", slice(0, 4)), ("b", slice(4, 8))):
        part = HookPoint(name, operand, 1).view(value, shape)
        assert torch.equal(part, value[:, :, rows, tokens, 1])


# --- edits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", STRUCTURES)
def test_an_editor_edits_each_named_part_in_a_copy_and_nothing_else(changes):
    shape, values = activations_of(**changes)
    numbers = {point: float(i) for i, point in enumerate(hook_points(shape))}
    for points in ([p] for p in numbers), [list(numbers)]:
        for some in points:
            hook = editor(some, shape, lambda point, part: part + numbers[point])
            for name, value in values.items():
                expected, before = value.clone(), value.clone()
                for point in some:
                    if point.name == name:
                        point.view(expected, shape).add_(numbers[point])
                assert torch.equal(hook(name, value), expected)
                assert torch.equal(value, before)
