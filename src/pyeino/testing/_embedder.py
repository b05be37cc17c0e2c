"""HashingEmbedder: vectors without a model, the same everywhere and at any time."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

from pyeino.components import EmbedderOptions
from pyeino.errors import DeclarationError

_WORD = re.compile(r"\w+")


class HashingEmbedder:
    """An Embedder that needs no model, no key and no network: for tests and trials.

    Each word and each of its runs of three letters adds to one of `dimensions` places, whose sum is
    brought to length 1. The same text always gives the same vector, in every process; texts that
    share words, or parts of words, lie closer together than others. That is all it knows of sense.
    Raises DeclarationError for `dimensions` < 2.
    """

    def __init__(self, dimensions: int = 256) -> None:
        if dimensions < 2:
            raise DeclarationError(
                "an embedding needs dimensions", expected="at least 2", found=str(dimensions)
            )
        self.dimensions = dimensions

    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        """One vector of length 1 for each text, in their order; options change nothing."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for feature, weight in _features(text):
            digest = hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8)
            number = int.from_bytes(digest.digest(), "big")
            vector[(number >> 1) % self.dimensions] += weight if number & 1 else -weight
        length = math.hypot(*vector)
        if length == 0.0:  # nothing to go by, or all of it cancelled out
            vector[0] = length = 1.0
        return [value / length for value in vector]


def _features(text: str) -> list[tuple[str, float]]:
    features: list[tuple[str, float]] = []
    for word in _WORD.findall(text.casefold()):
        padded = f"<{word}>"
        features.append((padded, 1.0))
        features += [(padded[at : at + 3], 0.3) for at in range(len(padded) - 2)]
    return features
