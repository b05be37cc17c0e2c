"""S36 and G17: one scale for the threshold, measured on questions over docs/."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pyeino.components import RetrieverOptions
from pyeino.integrations.onnx import MiniLMEmbedder, load_tokenizer
from pyeino.integrations.sql import SqliteDatabase
from pyeino.retrieval import (
    CALIBRATIONS,
    HeadingSplitter,
    HybridRetriever,
    HybridRetrieverConfig,
    Ingestor,
    KeywordRetriever,
    QueryVectors,
    VectorRetriever,
)

from .conftest import ROOT

_TOKENIZER = load_tokenizer()
_QUESTIONS = [
    json.loads(line)
    for line in (Path(__file__).parent / "questions.jsonl").read_text().splitlines()
]


@pytest.fixture
async def hybrid() -> AsyncIterator[HybridRetriever]:
    """What the server builds, over an index of docs/."""
    async with MiniLMEmbedder() as embedder, await SqliteDatabase.open(":memory:") as database:
        store = database.scope().passages
        splitter = HeadingSplitter(count_tokens=_TOKENIZER.count)
        await Ingestor(store, embedder, model=embedder.model, splitter=splitter).ingest(
            ROOT / "docs"
        )
        vectors = QueryVectors(embedder, model=embedder.model)
        yield HybridRetriever(
            HybridRetrieverConfig(
                vector_retriever=VectorRetriever(store, vectors),
                keyword_retriever=KeywordRetriever(store, vectors=vectors),
            )
        )


async def test_g17_s36_the_default_threshold_answers_and_refuses(
    hybrid: HybridRetriever,
) -> None:
    default = RetrieverOptions(top_k=5, score_threshold=0.7)
    found: list[tuple[dict[str, Any], list[str]]] = []
    for row in _QUESTIONS:
        documents = await hybrid.retrieve(row["question"], options=default)
        found.append((row, [str(one.meta_data["source"]) for one in documents]))
    answerable = [(row, sources) for row, sources in found if row["source"]]
    unanswerable = [(row, sources) for row, sources in found if not row["source"]]
    assert len(answerable) >= 40
    assert len(unanswerable) >= 40

    refused_wrongly = [row["question"] for row, sources in answerable if not sources]
    answered_wrongly = [row["question"] for row, sources in unanswerable if sources]
    assert len(refused_wrongly) <= len(answerable) // 10, refused_wrongly
    assert len(answered_wrongly) <= len(unanswerable) // 10, answered_wrongly

    cited = [any(one.endswith(row["source"]) for one in sources) for row, sources in answerable]
    assert sum(cited) >= 0.8 * len(cited)  # some questions are answered by other pages, too

    off = RetrieverOptions(top_k=5)
    assert await hybrid.retrieve("Who painted the Mona Lisa?", options=off)


def test_g17_the_scale_rises_and_stays_in_0_to_1() -> None:
    scale = CALIBRATIONS[MiniLMEmbedder.model]
    values = [scale.similarity(number / 50) for number in range(-50, 51)]
    assert values == sorted(values)
    assert 0 <= values[0] < values[-1] <= 1
    assert scale.similarity(scale.cosine(0.7)) == pytest.approx(0.7)
