"""Retrieval from settings: an index that is filled, asked, turned off, or lacks its extra."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pyeino.components import RetrieverOptions
from pyeino.errors import MissingDependencyError, ValidationError
from pyeino.integrations.sql import SqliteDatabase
from pyeino.monitoring import Metrics, StructuredLogger
from pyeino.retrieval import similarity_of
from pyeino.schema import Message
from pyeino.service import RAGInput
from pyeino.wiring import Settings, load_settings, open_ingestor
from pyeino.wiring._retrieval import Retrieval, document_parsers, open_retrieval


def _settings(folder: Path, **overrides: str) -> Settings:
    return load_settings(
        env={}, overrides={"database.url": f"sqlite:///{folder}/p.db", **overrides}
    )


def _question(text: str, **fields: Any) -> RAGInput:
    return RAGInput(
        user_id="u",
        session_id="s",
        message_id="m",
        message=text,
        messages=(Message.user(text),),
        **fields,
    )


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "tea.md").write_text("# Tea\n\nGreen tea wants water of 80 degrees.\n")
    (folder / "cake.html").write_text("<h1>Cake</h1><p>Bake the cake for 45 minutes.</p>")
    return folder


class _Opened:
    """`open_retrieval` over the database of the settings, for a `async with`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Retrieval | None:
        try:
            return await self._open()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _open(self) -> Retrieval | None:
        database = await self._stack.enter_async_context(
            await SqliteDatabase.open(self._settings.database_path)
        )
        logger = StructuredLogger(level="fatal")
        self._stack.callback(logger.close)
        return await open_retrieval(
            self._settings,
            self._stack,
            store=database.scope().passages,
            logger=logger,
            metrics=Metrics(),
        )

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def test_what_is_ingested_is_found_by_the_server_of_the_same_settings(
    tmp_path: Path, notes: Path
) -> None:
    settings = _settings(tmp_path, **{"rag.vector_store.collection": "kitchen"})
    async with open_ingestor(settings) as ingestor:
        report = await ingestor.ingest(notes, index="kitchen")
    assert report.added == ["notes/cake.html", "notes/tea.md"]
    async with _Opened(settings) as found:
        assert found is not None
        (tea,) = await found.retriever.retrieve(
            "How hot should the water for green tea be?",
            options=RetrieverOptions(score_threshold=0.7),
        )
        assert tea.meta_data["source"] == "notes/tea.md"
        assert (similarity_of(tea) or 0) >= 0.7
        assert await found.probe(_question("How hot should the water for green tea be?"))
        assert not await found.probe(_question("Who won the match yesterday?"))


async def test_an_empty_index_loads_no_embedder_and_has_nothing(tmp_path: Path) -> None:
    async with _Opened(_settings(tmp_path)) as found:
        assert found is not None
        assert not await found.probe(_question("anything?", score_threshold=None))
        assert found.ingestor is not None


@pytest.mark.parametrize("key", ["rag.vector_store.provider", "rag.embedding.provider"])
async def test_retrieval_can_be_turned_off(tmp_path: Path, key: str) -> None:
    settings = _settings(tmp_path, **{key: "none"})
    async with _Opened(settings) as found:
        assert found is None
    with pytest.raises(ValidationError, match="RETRIEVAL_OFF"):
        async with open_ingestor(settings):
            pass


async def test_a_missing_extra_turns_it_off_unless_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyeino.wiring._retrieval._LOCAL_MODULES", ("numpy", "no_such_module"))
    async with _Opened(_settings(tmp_path)) as found:
        assert found is None
    asked = _settings(tmp_path, **{"rag.embedding.provider": "local"})
    with pytest.raises(MissingDependencyError, match=r"pyeino\[local\]"):
        async with _Opened(asked):
            pass
    with pytest.raises(MissingDependencyError, match="no-such-module"):
        async with open_ingestor(_settings(tmp_path)):
            pass


def test_a_missing_parser_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("pyeino.integrations.documents")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "selectolax.lexbor", None)
    parsers = document_parsers()
    assert {".md", ".txt", ".html", ".htm", ".pdf"} <= set(parsers)
    with pytest.raises(MissingDependencyError, match=r"pyeino\[documents\]"):
        parsers[".pdf"].parse(b"")


async def test_another_service_embeds_when_the_settings_say_so(tmp_path: Path) -> None:
    settings = _settings(
        tmp_path,
        **{
            "rag.embedding.provider": "openai",
            "rag.embedding.model": "e",
            "rag.embedding.base_url": "http://127.0.0.1:1/v1",
        },
    )
    async with _Opened(settings) as found:
        assert found is not None
        assert await found.retriever.retrieve("q") == []  # an empty index asks nobody
