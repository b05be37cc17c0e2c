"""The two legs over a real store: filters, hostile questions, thresholds, embedders that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.components import EmbedderOptions, RetrieverOptions
from pyeino.errors import ValidationError
from pyeino.integrations.sql import SqlPassageStore
from pyeino.integrations.sql._passage_statements import keyword_query
from pyeino.retrieval import (
    Calibration,
    KeywordRetriever,
    QueryVectors,
    VectorRetriever,
    similarity_of,
)
from pyeino.stores import IndexedDocument, NewPassage

from .conftest import ids

_TEXTS = {
    "ports": ("The port is 8080.", (1.0, 0.0, 0.0)),
    "cats": ("Cats sleep all day.", (0.0, 1.0, 0.0)),
    "both": ("A cat sits at the port.", (0.7, 0.7, 0.0)),
}


class _Embedder:
    """Knows the direction of a few words; counts how often it is asked."""

    def __init__(self, *, broken: bool = False) -> None:
        self.calls = 0
        self.broken = broken

    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        self.calls += 1
        await asyncio.sleep(0)
        if self.broken:
            raise ConnectionError("no embedder")
        return [[float("port" in text), float("cat" in text), 0.01] for text in texts]


async def _fill(store: SqlPassageStore, *, index: str = "default") -> None:
    for name, (text, vector) in _TEXTS.items():
        await store.put_document(
            IndexedDocument(
                id=name, location=f"/{name}", source=f"{name}.md", digest="", model="m"
            ),
            [NewPassage(id=f"{index}-{name}", title=name.title(), content=text, vector=vector)],
            index=index,
        )


def _vector(store: SqlPassageStore, embedder: _Embedder) -> VectorRetriever:
    return VectorRetriever(
        store,
        QueryVectors(embedder, model="m"),
        calibration=Calibration(slope=20, middle=0.5),
    )


async def test_the_vector_leg_orders_by_similarity_and_drops_what_is_below(
    store: SqlPassageStore,
) -> None:
    await _fill(store)
    leg = _vector(store, _Embedder())
    found = await leg.retrieve("port", options=RetrieverOptions(top_k=3))
    assert ids(found) == ["default-ports", "default-both", "default-cats"]
    assert found[0].score == similarity_of(found[0])
    assert found[0].meta_data["source"] == "ports.md"
    above = await leg.retrieve("port", options=RetrieverOptions(score_threshold=0.7))
    assert ids(above) == ["default-ports", "default-both"]


async def test_an_embedder_without_a_scale_has_no_threshold(store: SqlPassageStore) -> None:
    await _fill(store)
    leg = VectorRetriever(store, QueryVectors(_Embedder(), model="m"))
    assert not leg.calibrated
    found = await leg.retrieve("port", options=RetrieverOptions(score_threshold=1.0))
    assert len(found) == 3
    assert similarity_of(found[0]) is None


async def test_legs_look_into_the_index_and_documents_that_are_named(
    store: SqlPassageStore,
) -> None:
    await _fill(store)
    await _fill(store, index="other")
    named = RetrieverOptions(index="other", filter={"documents": ["cats.md", "both"]})
    for leg in (_vector(store, _Embedder()), KeywordRetriever(store)):
        assert set(ids(await leg.retrieve("port cat", options=named))) == {
            "other-cats",
            "other-both",
        }
        with pytest.raises(ValidationError, match="filter"):
            await leg.retrieve("port", options=RetrieverOptions(filter={"author": "x"}))


async def test_an_empty_index_asks_no_embedder(store: SqlPassageStore) -> None:
    embedder = _Embedder()
    assert await _vector(store, embedder).retrieve("port") == []
    assert embedder.calls == 0


async def test_vectors_of_another_model_are_not_compared(store: SqlPassageStore) -> None:
    await _fill(store)
    leg = VectorRetriever(store, QueryVectors(_Embedder(), model="another"))
    assert await leg.retrieve("port") == []


async def test_both_legs_embed_a_question_once(store: SqlPassageStore) -> None:
    await _fill(store)
    embedder = _Embedder()
    vectors, scale = QueryVectors(embedder, model="m"), Calibration(slope=20, middle=0.5)
    legs = (
        VectorRetriever(store, vectors, calibration=scale),
        KeywordRetriever(store, vectors=vectors, calibration=scale),
    )
    async with asyncio.TaskGroup() as group:
        for leg in legs:
            group.create_task(leg.retrieve("port", options=RetrieverOptions(score_threshold=0.7)))
    assert embedder.calls == 1


async def test_keyword_hits_are_judged_by_their_vectors(store: SqlPassageStore) -> None:
    await _fill(store)
    leg = KeywordRetriever(
        store,
        vectors=QueryVectors(_Embedder(), model="m"),
        calibration=Calibration(slope=20, middle=0.9),
    )
    asked = RetrieverOptions(score_threshold=0.7)
    assert ids(await leg.retrieve("port", options=asked)) == ["default-ports"]


async def test_keyword_hits_stay_when_the_embedder_fails(store: SqlPassageStore) -> None:
    await _fill(store)
    leg = KeywordRetriever(
        store,
        vectors=QueryVectors(_Embedder(broken=True), model="m"),
        calibration=Calibration(slope=20, middle=0.9),
    )
    found = await leg.retrieve("port", options=RetrieverOptions(score_threshold=0.7))
    assert set(ids(found)) == {"default-ports", "default-both"}


@pytest.mark.parametrize(
    "question",
    [
        'port" OR "cats',
        "port NEAR(cats, 2)",
        "title : port",
        "port*",
        "^port AND NOT cats",
        "port'; DROP TABLE passages; --",
        "(((port",
        "port \0 port",
        "-port +port",
    ],
)
async def test_a_question_is_never_query_syntax(store: SqlPassageStore, question: str) -> None:
    await _fill(store)
    found = await KeywordRetriever(store).retrieve(question)
    assert "default-ports" in ids(found)
    assert await store.count(index="default") == 3


@given(st.text(max_size=60))
def test_keyword_queries_hold_quoted_words_only(text: str) -> None:
    for part in filter(None, keyword_query(text).split(" OR ")):
        assert part.startswith('"')
        assert part.endswith('"')
        assert '"' not in part[1:-1]


@given(text=st.text(max_size=40))
async def test_any_question_can_be_looked_up(text: str) -> None:
    from pyeino.integrations.sql import SqliteDatabase

    async with await SqliteDatabase.open(":memory:") as database:
        await KeywordRetriever(database.scope().passages).retrieve(text)


@pytest.mark.parametrize("question", ["", "   ", "?!", "…"])
async def test_a_question_without_a_word_finds_nothing(
    store: SqlPassageStore, question: str
) -> None:
    await _fill(store)
    assert await KeywordRetriever(store).retrieve(question) == []
