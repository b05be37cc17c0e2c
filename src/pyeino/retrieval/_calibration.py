"""Calibration: from a cosine, which means something else for every embedder, to one scale.

The scale is 0..1: how likely it is that a passage with this cosine answers the question, after
Platt ("Probabilistic outputs for support vector machines", 1999): a logistic curve over the
cosine, fitted to questions whose answers are known to be in the passages or not.
`scripts/fit_calibration.py` fits one and prints what a threshold gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """similarity = 1 / (1 + exp(−slope · (cosine − middle))); `middle` is where it is 0.5."""

    slope: float
    middle: float

    def similarity(self, cosine: float) -> float:
        """The similarity in 0..1 of a cosine in −1..1."""
        return 1.0 / (1.0 + math.exp(-self.slope * (cosine - self.middle)))

    def cosine(self, similarity: float) -> float:
        """The cosine at which `similarity` (0..1, both ends left out) is reached."""
        return self.middle + math.log(similarity / (1.0 - similarity)) / self.slope


CALIBRATIONS: Final[Mapping[str, Calibration]] = MappingProxyType(
    {"all-minilm-l6-v2-int8": Calibration(slope=21.55, middle=0.3607)}
)
"""By the name of the embedder. One that is not here has no scale, so no threshold is applied."""
