"""HashingEmbedder: the same everywhere, of length 1, and near for what is alike."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.components import Embedder
from pyeino.errors import DeclarationError
from pyeino.testing import HashingEmbedder, run_in_virtual_time


@given(st.lists(st.text(), max_size=4), st.integers(2, 64))
def test_vectors_have_length_one_and_never_change(texts: list[str], dimensions: int) -> None:
    one, other = HashingEmbedder(dimensions), HashingEmbedder(dimensions)
    vectors = run_in_virtual_time(one.embed(texts))
    assert vectors == run_in_virtual_time(other.embed(texts))
    assert len(vectors) == len(texts)
    for vector in vectors:
        assert len(vector) == dimensions
        assert math.hypot(*vector) == pytest.approx(1.0)


async def test_a_vector_is_the_same_in_every_process() -> None:
    ((first, *_),) = await HashingEmbedder(4).embed(["hello world"])
    assert first == pytest.approx(-0.30075282427)


async def test_what_is_alike_lies_near() -> None:
    embedder = HashingEmbedder()
    assert isinstance(embedder, Embedder)
    cat, cats, law = await embedder.embed(["the black cat", "Black cats", "contract law"])

    def near(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert near(cat, cats) > near(cat, law) + 0.2


async def test_numbers_and_empty_lists() -> None:
    assert await HashingEmbedder().embed([]) == []
    with pytest.raises(DeclarationError, match="at least 2"):
        HashingEmbedder(1)
