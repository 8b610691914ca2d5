"""The claims of the paper (arXiv 2604.17673): what it says, its number, the rule for ours.

Verdicts are computed. A claim that was tested at a smaller scale than the paper's or in a
neighboring regime is `partly` reproduced at most; trials on other images count for no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from service.reproduction import grokking, levels, mechanism
from service.reproduction.evidence import (
    INCONCLUSIVE,
    NOT,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    Evidence,
    Finding,
    Ran,
    over_learned,
)

OTHER_IMAGES = "run on other images than the paper's, which tell nothing of this claim"
Rule = Callable[[Evidence, Sequence[str]], Finding]
"""What the tables of some experiments say."""
SINGLE, MANY = "single-image regime", "diverse-image regime"


@dataclass(frozen=True)
class Claim:
    """One claim."""

    id: str
    where: str
    """Part of the paper."""
    statement: str
    number: str
    """The paper's."""
    experiments: tuple[str, ...]
    rule: str
    """How `judge` finds, in words."""
    judge: Rule
    control: tuple[str, ...] = ()
    """Experiments of ours whose trials count as well, if they were run; the paper has none such."""
    stand_in: tuple[str, ...] = ()
    """Experiments of a neighboring regime, looked at where these have nothing that learned."""
    other_images: tuple[str, ...] = ()
    """Experiments on other images than the paper's: shown, and counted for no verdict."""


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim and what came of it."""

    claim: Claim
    verdict: str
    finding: Finding
    ran: tuple[Ran, ...]
    """Experiments that it rests on."""
    scales: tuple[str, ...]
    """Theirs, or those of the experiments on other images if it rests on none."""
    capped: bool
    """The rule is met in full, but not at the paper's scale."""
    from_stand_in: bool


def judge(claim: Claim, evidence: Evidence) -> ClaimVerdict:
    """The verdict on a claim."""
    own = claim.experiments + claim.control
    finding, experiments = claim.judge(evidence, own), own
    if finding.verdict == NOT_RUN and claim.stand_in:
        other = claim.judge(evidence, claim.stand_in)
        supports = other.verdict in (REPRODUCED, PARTLY)
        if supports or (other.verdict == NOT and not finding.measured):
            note = tuple(f"in the {claim.where}: {line}" for line in finding.measured)
            # trials of another regime can support a claim, but not refute it
            verdict = NOT_RUN if other.verdict == NOT else other.verdict
            finding = replace(other, verdict=verdict, measured=other.measured + note)
            experiments = claim.stand_in
        else:
            note = tuple(f"in the neighboring regime: {line}" for line in other.measured)
            finding = replace(finding, measured=finding.measured + note)
    stood_in = experiments is not own
    ran, other_images = evidence.of(experiments), evidence.stand_ins()
    shown = other_images.of(claim.other_images + experiments)
    for names in (claim.other_images, experiments):
        if there := other_images.of(names):
            other = claim.judge(other_images, names)
            finding = _with_other_images(finding, other, "; ".join(r.words for r in there))
    papers = evidence.of(claim.experiments)
    is_whole = len(papers) == len(claim.experiments) and all(r.is_full for r in papers)
    in_full = is_whole and not stood_in
    capped = finding.verdict == REPRODUCED and not in_full
    verdict = PARTLY if capped else finding.verdict
    if verdict == NOT_RUN and evidence.of(claim.experiments):
        verdict = INCONCLUSIVE
    scales = tuple(dict.fromkeys(r.scale for r in ran or shown))
    return ClaimVerdict(claim, verdict, finding, tuple(ran), scales, capped, stood_in)


def _with_other_images(finding: Finding, other: Finding, words: str) -> Finding:
    """What trials on other images show stands beside the finding and does not turn it.

    Args:
        words: what the trials on other images are.
    """
    if not other.measured:
        return finding
    short = finding.short or (f"on other images: {other.short}" if other.short else "")
    lines = (f"{OTHER_IMAGES} ({words}):", *other.measured)
    return replace(finding, measured=finding.measured + lines, short=short)


_CONTROL = ("unordered",)
"""It differs in its split only, and all its validation pairs tell."""
_MANY = ("n256",)
_MANY_P = ("n256", "critical", "critical-kuzushiji")
_ONE_P = ("n1", "moduli", "kuzushiji")
CLAIMS: tuple[Claim, ...] = (
    Claim("grokking-n1", SINGLE, "With one image per symbol, validation follows training late.",
          "curve: groks (P = 23)", ("n1",), grokking.GROKS, grokking.groks_at("N", (1,))),
    Claim("validation-n1", SINGLE, "It ends near full validation accuracy.", "near 100 % (curve)",
          ("n1",), grokking.ENDS_HIGH, grokking.validation_accuracy),
    Claim("key-frequencies", SINGLE, "A few key frequencies carry the computation.",
          "4 of 11 at P = 23: w1, w3, w7, w9 (which ones depends on the seed)", ("n1",),
          mechanism.KEYS, over_learned("spectra", mechanism.key_frequencies), _CONTROL),
    Claim("heads", SINGLE, "Attention heads specialize in one frequency each.", "one per head",
          ("n1",), mechanism.HEADS, over_learned("spectra", mechanism.heads_specialize), _CONTROL),
    Claim("identity-cos", SINGLE, "The neurons compute cos(w1(a + b)) = cos cos - sin sin.",
          "138910 and -139849, FVE 0.95", ("n1",), mechanism.IDENTITY,
          over_learned("identities", partial(mechanism.identity, direction="cos")), _CONTROL),
    Claim("identity-sin", SINGLE, "The neurons compute sin(w1(a + b)) = cos sin + sin cos.",
          "137133 and 136206, FVE 0.94", ("n1",), mechanism.IDENTITY,
          over_learned("identities", partial(mechanism.identity, direction="sin")), _CONTROL),
    Claim("non-key", SINGLE, "Frequencies that are not key have far smaller coefficients.",
          "about 1/100", ("n1",), mechanism.NON_KEY,
          over_learned("identities", mechanism.non_key_is_small), _CONTROL),
    Claim("other-moduli", SINGLE, "It groks at other moduli too.", "P = 27, 31, 35 (EMNIST)",
          ("moduli",), grokking.GROKS_EACH, grokking.groks_at("P", (27, 31, 35))),
    Claim("kuzushiji", SINGLE, "It groks on other images too.", "P = 39, 43, 47 (Kuzushiji-49)",
          ("kuzushiji",), grokking.GROKS_EACH, grokking.groks_at("P", (39, 43, 47)),
          other_images=("omniglot",)),
    Claim("grokking-n4", MANY, "It groks with 4 images per symbol.", "curve: groks (N = 4)",
          ("n4",), grokking.GROKS, grokking.groks_at("N", (4,))),
    Claim("grokking-n256", MANY, "The sandwich groks with 256 images per symbol.",
          "curve: groks (N = 256)", _MANY, grokking.GROKS, grokking.groks_at("N", (256,))),
    Claim("sandwich", MANY, "The baseline fails with 256 images, even widened; the sandwich groks.",
          "fails / fails / groks", ("n256", "variants"), grokking.SANDWICH,
          grokking.sandwich_beats_baseline),
    Claim("depth-2", "both regimes", "With two blocks it groks with 1 and with 256 images.",
          "groks (N = 1, N = 256)", ("depth2", "depth2-n256"), grokking.GROKS_EACH,
          grokking.groks_at("N", (1, 256))),
    Claim("rectify", MANY, "Samples that start from a wrong result, noised, are corrected to "
          "a + b.", "0 %, 7 %, 54 %, 96 % from noise-step index 0, 21, 32, 50 of 50 (P = 23)",
          _MANY, levels.RECTIFY, over_learned("timesteps", levels.rectify),
          stand_in=("n1",)),
    Claim("critical-level", MANY, "The noise step of the steepest entropy change predicts where "
          "samples can no longer be corrected.", "they align, across P and data sets", _MANY_P,
          levels.CRITICAL, levels.critical, stand_in=_ONE_P),
)  # fmt: skip
