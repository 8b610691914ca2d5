"""The paper's experiments are all there, each at scales that cost less and less."""

from grokmodel.data.pairs import split_pairs
from service.reproduction.claims import CLAIMS
from service.store.manifest import SWEEP_NAME
from sweeps.budget import equivalent_steps
from sweeps.paper import BY_NAME, EXPERIMENTS
from sweeps.presets import preset_configs


def full(name):
    return BY_NAME[name].scales[0].configs


def values(configs, *fields):
    return {tuple(getattr(c, f) for f in fields) for c in configs}


def test_every_experiment_of_the_paper_is_there():
    assert values(full("n1"), "data", "P", "N") == {("emnist", 23, 1)}
    assert values(full("n4"), "P", "N") == {(23, 4)}
    assert values(full("n256"), "P", "N", "variant") == {(23, 256, "sandwich")}
    assert values(full("variants"), "N", "variant", "ffn") == {
        (256, "baseline", 512), (256, "baseline", 1024)
    }  # fmt: skip
    assert values(full("depth2") + full("depth2-n256"), "N", "depth") == {(1, 2), (256, 2)}
    assert values(full("moduli"), "data", "P", "N") == {("emnist", P, 1) for P in (27, 31, 35)}
    assert values(full("kuzushiji"), "data", "P") == {("kuzushiji49", P) for P in (39, 43, 47)}
    assert values(full("omniglot"), "data", "P", "N") == {
        ("omniglot-katakana", P, 1) for P in (39, 43, 47)
    }
    found = full("critical") + full("critical-kuzushiji")
    assert values(found, "P", "N") == {(P, 256) for P in (27, 31, 35, 39, 43, 47)}
    assert values(full("unordered"), "split", "P") == {("unordered", P) for P in (23, 27, 31, 35)}


def test_full_is_the_papers_scale():
    for experiment in EXPERIMENTS:
        assert experiment.scales[0].name == "full"
        # a control of ours, with more strict pairs
        fraction = 0.8 if experiment.name == "heads" else 0.9
        assert values(experiment.scales[0].configs, "side", "width", "train_fraction") == {
            (32, 512, fraction)
        }
        assert len(values(experiment.scales[0].configs, "seed")) == 3


def test_the_preset_is_the_union_of_all_experiments_in_full_on_the_papers_images():
    union = {c.trial_id for e in EXPERIMENTS if e.name != "omniglot" for c in e.scales[0].configs}
    assert {c.trial_id for c in preset_configs("paper", {})} == union


def test_scales_on_other_images_than_the_papers_are_marked_and_say_so():
    scales = [s for e in EXPERIMENTS for s in e.scales]
    assert BY_NAME["omniglot"].scales[0] in scales
    for scale in scales:
        data = {c.data for c in scale.configs}
        assert scale.stand_in == (not data <= {"emnist", "kuzushiji49"}), scale.words
        assert scale.stand_in == ("instead of Kuzushiji-49" in scale.words)


def test_diverse_emnist_has_an_alphabet_without_look_alikes():
    configs = [c for e in EXPERIMENTS for s in e.scales for c in s.configs]
    assert {c.alphabet for c in configs if c.N > 1 and c.data == "emnist"} == {"distinct"}
    assert {c.alphabet for c in configs if c.data == "kuzushiji49"} == {"plain"}


def test_accuracies_are_over_all_held_out_pairs():
    """Verdicts take `n_strict`, which counts all strict pairs, for those that were evaluated."""
    configs = {c for e in EXPERIMENTS for s in e.scales for c in s.configs}
    partly = [c for c in configs if c.eval_pairs < len(split_pairs(c).val)]
    assert {(c.P, c.eval_pairs) for c in partly} == set()


def test_every_scale_is_a_sweep_of_its_own():
    names = [e.sweep(s) for e in EXPERIMENTS for s in e.scales]
    assert len(set(names)) == len(names)
    assert all(SWEEP_NAME.fullmatch(name) for name in names)


def test_smaller_scales_cost_less():
    for experiment in EXPERIMENTS:
        sizes = [s for s in experiment.scales if not s.stand_in]
        work = [sum(equivalent_steps(c) * c.side**2 * c.width for c in s.configs) for s in sizes]
        assert work == sorted(work, reverse=True), experiment.name


def test_claims_rest_on_experiments_that_exist():
    for claim in CLAIMS:
        named = claim.experiments + claim.stand_in + claim.other_images
        assert set(named) <= set(BY_NAME), claim.id
        assert all(s.stand_in for name in claim.other_images for s in BY_NAME[name].scales)
