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


def numbered(values):
    """The same tensors, every element with a number of its own."""
    return {k: torch.arange(v.numel(), dtype=torch.float64).view_as(v) for k, v in values.items()}


# --- which hook points there are ------------------------------------------------------------------


@pytest.mark.parametrize("changes", STRUCTURES)
def test_every_site_is_a_part_of_an_activation_of_the_model(changes):
    shape, values = activations_of(**changes)
    for point in hook_points(shape):
        part = point.view(values[point.name], shape)
        assert part.shape[:3] == (1, 25, shape.tokens_per_image), point
        assert part.numel() > 0


@pytest.mark.parametrize("changes", STRUCTURES)
def test_no_activation_of_the_model_is_without_a_site_but_the_attention_weights(changes):
    shape, values = activations_of(**changes)
    without = set(values) - {point.name for point in hook_points(shape)}
    assert without == {f"block{i}.weight" for i in range(shape.depth)}


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


@pytest.mark.parametrize("changes", STRUCTURES)
def test_no_two_sites_have_the_same_label_and_head(changes):
    points = hook_points(tiny(**changes).shape)
    assert len({(point.label, point.head) for point in points}) == len(points)


def test_labels_name_the_operand_and_not_the_head():
    assert HookPoint("block0.value", "a", 1).label == "block0.value[a]"
    assert HookPoint("block0.head_output", head=1).label == "block0.head_output"
    assert HookPoint("output").head == NO_HEAD
    assert HookPoint("block1.ffn.post").kind == "post"


def test_the_neurons_that_write_the_answer_are_those_of_the_last_block():
    shape = tiny(depth=2, variant="sandwich").shape
    assert last_ffn(shape) == HookPoint("block1.ffn.post")
    assert last_ffn(shape, "pre") == HookPoint("block1.ffn.pre")


# --- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", STRUCTURES)
def test_no_two_sites_share_an_element(changes):
    shape, values = activations_of(**changes)
    values = numbered(values)
    seen = {name: [] for name in values}
    for point in hook_points(shape):
        seen[point.name].append(point.view(values[point.name], shape).flatten())
    for name, parts in seen.items():
        if parts:
            elements = torch.cat(parts)
            assert len(elements.unique()) == len(elements), name


@pytest.mark.parametrize("changes", STRUCTURES)
def test_writing_to_a_view_edits_the_activation(changes):
    shape, values = activations_of(**changes)
    for point in hook_points(shape):
        value = torch.zeros_like(values[point.name])
        part = point.view(value, shape)
        part += 1
        assert value.sum() == part.numel()


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
def test_an_editor_edits_the_named_part_and_nothing_else(changes):
    shape, values = activations_of(**changes)
    for point in hook_points(shape):
        hook = editor([point], shape, lambda _, part: part + 1)
        for name, value in values.items():
            edited = hook(name, value)
            expected = value.clone()
            if name == point.name:
                point.view(expected, shape).add_(1)
            assert torch.equal(edited, expected)


def test_an_editor_does_not_write_to_what_it_is_given():
    shape, values = activations_of(**ALL)
    before = {name: value.clone() for name, value in values.items()}
    hook = editor(hook_points(shape), shape, lambda _, part: part + 1)
    for name, value in values.items():
        hook(name, value)
        assert torch.equal(value, before[name])


def test_an_editor_tells_its_edit_which_site_it_is_at():
    shape, values = activations_of(**ALL)
    numbers = {point: float(i) for i, point in enumerate(hook_points(shape))}
    hook = editor(list(numbers), shape, lambda point, part: torch.full_like(part, numbers[point]))
    for point, number in numbers.items():
        assert (point.view(hook(point.name, values[point.name]), shape) == number).all()
