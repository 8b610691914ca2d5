"""The paper's effective theory of two hidden states that attract each other or keep apart.

Two sequences have hidden states h_1 and h_2, dh = h_2 - h_1; N sequences may follow, and y_i is the
output after both the one and the i-th of these, linear near the mean of h_1 and h_2. Gradient
descent on h_1, h_2 and the linear maps, at rates 1/tau_h = 1/tau_h1 + 1/tau_h2 and 1/tau_y, with h
moving only along dh, gives three numbers that follow each other alone (eq. 4):

    x = ||dh||^2, y = <||dy_i||^2>_i, w = <||dy_i||^2 - dy_i . (y*_2i - y*_1i)>_i

where dy_i is the difference of the outputs, y* are targets, and <>_i is the mean over i. Two states
merge where the final distance is 0: all targets agree, and A_high < 0 (eq. 7). How A_high depends
on the gain and the data, eq. 8 and 9, holds up to a constant that the paper leaves open, so it is
not here.

Source: van Rossem and Saxe (ICML 2025, arXiv 2507.09897), section 3 and appendix B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interaction:
    """Two states at the start of learning, and how fast they learn."""

    dh2: float
    """||dh(0)||^2, above 0."""
    dy2: float
    """<||dy_i(0)||^2>_i."""
    target2: float
    """<||y*_2i - y*_1i||^2>_i: 0 for two sequences that agree whatever follows."""
    futures: int
    """N, sequences that may follow."""
    tau_h: float
    tau_y: float

    @property
    def ratio(self) -> float:
        """N tau_y / tau_h."""
        return self.futures * self.tau_y / self.tau_h

    @property
    def a_high(self) -> float:
        """Eq. 6; a constant of the motion: ||dh||^2 - ratio <||dy_i||^2>_i / ||dh||^2."""
        return self.dh2 - self.ratio * self.dy2 / self.dh2

    @property
    def critical_rates(self) -> float:
        """tau_y / tau_h above which A_high is below 0; infinite where the outputs are the same."""
        driven = self.futures * self.dy2
        return self.dh2**2 / driven if driven else math.inf

    @property
    def a_low(self) -> float:
        """Eq. 6."""
        return math.sqrt(self.ratio * self.target2)

    @property
    def final_dh2(self) -> float:
        """||dh||^2 after learning (eq. 5)."""
        half = self.a_high / 2
        root = math.hypot(half, self.a_low)
        # for A_high < 0 both terms nearly cancel; the product of the two roots is -A_low^2
        return half + root if half >= 0 else self.a_low**2 / (root - half)

    @property
    def merges(self) -> bool:
        """The final distance is 0 (eq. 7)."""
        return self.a_low == 0 and self.a_high < 0

    def agreeing_dh2(self, t: float) -> float:
        """||dh||^2 at time t of two sequences that agree (eq. 35).

        Raises:
            ValueError: they do not agree.
        """
        if self.target2:
            raise ValueError(f"target2 is {self.target2}; need 0, a pair that agrees")
        rate, a = 1 / (2 * self.futures * self.tau_y), self.a_high
        if a == 0:
            return self.dh2 / (1 + rate * self.dh2 * t)
        # both forms are eq. 35; each is the one whose exponential does not overflow
        if a > 0:
            return a / (1 + (a / self.dh2 - 1) * math.exp(-rate * a * t))
        fade = math.exp(rate * a * t)
        return a * fade / (fade + a / self.dh2 - 1)

    def derivative(self, x: float, y: float, w: float) -> tuple[float, float, float]:
        """Time derivatives of x = ||dh||^2, y = <||dy_i||^2>_i and w (eq. 4); x must be above 0.

        Where the outputs differ the wrong way at first, dh may pass 0: there eq. 4 has no value.
        """
        k_h, k_y = 1 / self.tau_h, 1 / (self.futures * self.tau_y)
        return (
            -k_h * w / 2,
            -(k_y * x + k_h * y / x) * w / 2,
            -k_y * (3 * w - y + self.target2) * x / 4 - k_h * (w / x) * (y + w) / 4,
        )
