import sys
from functools import partial

from service.schedule import pack_size
from service.schedule.plan import MAX_MEMBERS, Plan, Resources, pack
from sweeps.presets import preset_configs
from tests.service.tiny import tiny_config

CPU = Resources(slots=2, cpus=1.0, gpus=0.0)


def plan_of(*configs):
    return Plan("s", configs, (), (), pack(configs, CPU))


def test_the_cost_of_a_step_is_measured_for_every_shape(settings):
    plan = plan_of(tiny_config(), tiny_config(seed=1), tiny_config(width=1024, ffn=1024))
    seconds = pack_size.step_seconds(plan, settings.data_root)
    narrow, wide = (seconds[tiny_config(width=w, ffn=w).shape] for w in (16, 1024))
    assert len(seconds) == 2
    assert 0 < narrow < wide


def test_the_best_pack_of_every_shape_is_found_on_this_machine(settings):
    configs = [tiny_config(), tiny_config(width=32)]
    found = pack_size.most_members_here(configs, settings.data_root)
    assert found.keys() == {c.shape for c in configs}
    assert all(1 <= members <= MAX_MEMBERS["gpu"] for members in found.values())


def test_bfloat16_is_set_against_what_was_measured(settings):
    plan = plan_of(tiny_config())
    shape = plan.packs[0][0].shape
    slow, fast = (
        pack_size.in_bfloat16(plan, {shape: s}, settings.data_root) for s in (1.0, 0.0001)
    )
    assert slow > 50 * fast
    rounded = plan_of(tiny_config(precision="bfloat16"))
    assert pack_size.in_bfloat16(rounded, {}, settings.data_root) is None
    assert pack_size.in_bfloat16(plan_of(), {}, settings.data_root) is None


def test_a_plan_says_what_is_compiled(monkeypatch):
    monkeypatch.setenv("CXX", sys.executable)  # stands for a compiler, and compiles nothing
    demo = preset_configs("demo", {"seed": [0]})
    both, smoke = plan_of(*demo, tiny_config()), plan_of(*preset_configs("smoke", {}))
    of_demo = len(both.packs) - 1
    note = partial(pack_size.program_note, on_gpu=False)
    assert note(both, "auto") == f", {of_demo} of them compiled first, which takes about a minute"
    assert note(plan_of(*demo), "auto") == ", compiled first, which takes about a minute"
    assert note(smoke, "auto") == note(both, "eager") == ""
    assert pack_size.program_note(both, "auto", on_gpu=True) == ""
