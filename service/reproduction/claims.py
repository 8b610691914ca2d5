"""The claims of the paper (arXiv 2604.17673): what it says, its number, the rule that judges ours.

Verdicts are computed. A claim that was tested at a smaller scale than the paper's or in a
neighbouring regime is `partly` reproduced at most; trials on other images judge nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from service.reproduction import grokking, levels, mechanism
from service.reproduction.evidence import NOT, NOT_RUN, PARTLY, REPRODUCED, Evidence, Finding

OTHER_IMAGES = "run on other images than the paper's, which tell nothing of this claim:"
Judge = Callable[[Evidence], Finding]
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
    """How `judge` judges, in words."""
    judge: Judge
    stand_in: tuple[str, ...] = ()
    """Experiments of a neighbouring regime, looked at where these have nothing that learned."""
    judge_stand_in: Judge | None = None


@dataclass(frozen=True)
class Judged:
    """A claim and what came of it."""

    claim: Claim
    verdict: str
    finding: Finding
    scales: tuple[str, ...]
    """Scales of the experiments that it rests on, or of those on other images if on none."""
    capped: bool = False
    """The rule is met in full, but not at the paper's scale."""
    from_stand_in: bool = False


def judge(claim: Claim, evidence: Evidence) -> Judged:
    """The verdict on a claim."""
    finding, experiments, stood_in = claim.judge(evidence), claim.experiments, False
    if finding.verdict == NOT_RUN and claim.judge_stand_in:
        other = claim.judge_stand_in(evidence)
        supports = other.verdict in (REPRODUCED, PARTLY)
        if supports or (other.verdict == NOT and not finding.measured):
            note = tuple(f"in the {claim.where}: {line}" for line in finding.measured)
            # trials of another regime can support a claim, but not refute it
            verdict = NOT_RUN if other.verdict == NOT else other.verdict
            finding = replace(other, verdict=verdict, measured=other.measured + note)
            experiments, stood_in = claim.stand_in, True
        else:
            note = tuple(f"in the neighbouring regime: {line}" for line in other.measured)
            finding = replace(finding, measured=finding.measured + note)
    ran = evidence.of(experiments)
    other_images = evidence.stand_ins()
    shown = other_images.of(experiments)
    if shown:
        judge_them = claim.judge_stand_in if stood_in and claim.judge_stand_in else claim.judge
        finding = _with_other_images(finding, judge_them(other_images))
    in_full = not stood_in and all(r.is_full for r in ran) and len(ran) == len(experiments)
    capped = finding.verdict == REPRODUCED and not in_full
    verdict = PARTLY if capped else finding.verdict
    scales = tuple(dict.fromkeys(r.scale for r in ran or shown))
    return Judged(claim, verdict, finding, scales, capped, stood_in)


def _with_other_images(finding: Finding, other: Finding) -> Finding:
    """What trials on other images show stands beside the finding and does not turn it."""
    if not other.measured:
        return finding
    short = finding.short or (f"on other images: {other.short}" if other.short else "")
    return replace(
        finding, measured=(*finding.measured, OTHER_IMAGES, *other.measured), short=short
    )


def _identity(direction: str) -> Judge:
    return lambda evidence: mechanism.identity(evidence, _ONE, direction)


_ONE = ("n1", "unordered")
"""The control differs in its split only, and all its validation pairs tell."""
_MANY = ("n256",)
_MANY_P = ("n256", "critical", "critical-kuzushiji")
_ONE_P = ("n1", "moduli", "kuzushiji")
CLAIMS: tuple[Claim, ...] = (
    Claim("grokking-n1", SINGLE, "With one image a symbol, validation follows training late.",
          "curve: groks (P = 23)", ("n1",), grokking.GROKS, grokking.groks_at(("n1",), "N", (1,))),
    Claim("validation-n1", SINGLE, "It ends near full validation accuracy.", "near 100 % (curve)",
          ("n1",), grokking.ENDS_HIGH, grokking.validation_accuracy(("n1",))),
    Claim("key-frequencies", SINGLE, "A few key frequencies carry the computation.",
          "4 of 11 at P = 23: w1, w3, w7, w9 (which ones depends on the seed)", _ONE,
          mechanism.KEYS, lambda e: mechanism.key_frequencies(e, _ONE)),
    Claim("heads", SINGLE, "Attention heads specialise in one frequency each.", "one a head",
          _ONE, mechanism.HEADS, lambda e: mechanism.heads_specialise(e, _ONE)),
    Claim("identity-cos", SINGLE, "The neurons compute cos(w1(a + b)) = cos cos - sin sin.",
          "138910 and -139849, FVE 0.95", _ONE, mechanism.IDENTITY, _identity("cos")),
    Claim("identity-sin", SINGLE, "The neurons compute sin(w1(a + b)) = cos sin + sin cos.",
          "137133 and 136206, FVE 0.94", _ONE, mechanism.IDENTITY, _identity("sin")),
    Claim("non-key", SINGLE, "Frequencies that are not key have far smaller coefficients.",
          "about 1/100", _ONE, mechanism.NON_KEY,
          lambda e: mechanism.non_key_is_small(e, _ONE)),
    Claim("other-moduli", SINGLE, "It groks at other moduli too.", "P = 27, 31, 35 (EMNIST)",
          ("moduli",), grokking.GROKS_EACH, grokking.groks_at(("moduli",), "P", (27, 31, 35))),
    Claim("kuzushiji", SINGLE, "It groks on other images too.", "P = 39, 43, 47 (Kuzushiji-49)",
          ("kuzushiji",), grokking.GROKS_EACH,
          grokking.groks_at(("kuzushiji",), "P", (39, 43, 47))),
    Claim("grokking-n4", MANY, "It groks with 4 images a symbol.", "curve: groks (N = 4)", ("n4",),
          grokking.GROKS, grokking.groks_at(("n4",), "N", (4,))),
    Claim("grokking-n256", MANY, "The sandwich groks with 256 images a symbol.",
          "curve: groks (N = 256)", _MANY, grokking.GROKS, grokking.groks_at(_MANY, "N", (256,))),
    Claim("sandwich", MANY, "The baseline fails with 256 images, even widened; the sandwich groks.",
          "fails / fails / groks", ("n256", "variants"), grokking.SANDWICH,
          grokking.sandwich_beats_baseline),
    Claim("depth-2", "both regimes", "With two blocks it groks with 1 and with 256 images.",
          "groks (N = 1, N = 256)", ("depth2", "depth2-n256"), grokking.GROKS_EACH,
          grokking.groks_at(("depth2", "depth2-n256"), "N", (1, 256))),
    Claim("rectify", MANY, "From a wrong result noised to a level, samples still reach a + b.",
          "0 %, 7 %, 54 %, 96 % at levels 0, 21, 32, 50 of 50 (P = 23)", _MANY, levels.RECTIFY,
          lambda e: levels.rectify(e, _MANY), ("n1",),
          lambda e: levels.rectify(e, ("n1",))),
    Claim("critical-level", MANY, "The level of the steepest entropy change predicts where samples "
          "can no longer be talked out of a result.", "they align, across P and data sets", _MANY_P,
          levels.CRITICAL, lambda e: levels.critical(e, _MANY_P), _ONE_P,
          lambda e: levels.critical(e, _ONE_P)),
)  # fmt: skip
BY_ID = {claim.id: claim for claim in CLAIMS}
