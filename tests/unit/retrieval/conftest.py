"""A real embedder and a real index; retrievers that give or raise what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pyeino.components import RetrieverOptions
from pyeino.integrations.onnx import MiniLMEmbedder
from pyeino.integrations.sql import SqliteDatabase, SqlPassageStore
from pyeino.schema import Document

ROOT = Path(__file__).parents[3]


class FixedRetriever:
    """Gives `found`, or raises it; remembers the options that it was asked with."""

    def __init__(self, found: Any = (), *, calibrated: bool = False) -> None:
        self.found = found
        self.calibrated = calibrated
        self.asked: list[RetrieverOptions | None] = []
        self.cancelled = asyncio.Event()
        self.begun = asyncio.Event()

    async def retrieve(
        self, query: str, *, options: RetrieverOptions | None = None
    ) -> list[Document]:
        self.asked.append(options)
        self.begun.set()
        if isinstance(self.found, BaseException):
            raise self.found
        if self.found == "never":
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return self.found  # type: ignore[no-any-return]


def docs(*ids: str, score: float = 0.5, **metadata: Any) -> list[Document]:
    """Documents of these ids, best first."""
    return [
        Document(id=one, content=f"text of {one}", meta_data=dict(metadata)).with_score(score)
        for one in ids
    ]


def ids(documents: Sequence[Document]) -> list[str]:
    return [one.id for one in documents]


@pytest.fixture
async def store() -> AsyncIterator[SqlPassageStore]:
    async with await SqliteDatabase.open(":memory:") as database:
        yield database.scope().passages


@pytest.fixture
async def embedder() -> AsyncIterator[MiniLMEmbedder]:
    async with MiniLMEmbedder(threads=1) as one:
        yield one
