"""Ornstein-Uhlenbeck shaped by NAF's precision matrix P: wide where Q is flat (naf only).

Gu et al. 2016 (arXiv 1603.00748), appendix 8.2.
"""

import dataclasses

from reverie.maths.noises.ornstein_uhlenbeck import OrnsteinUhlenbeck


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrecisionNoise(OrnsteinUhlenbeck):
    """N ← (1 - θ) N + σ ε with ε ∼ N(0, c P⁻¹) instead of a standard normal ε (`quadratic.precision_noise`)."""

    shaped = True
