"""The guide's lowest layer: database, cache, message queue, file storage, and who uses which.

Its diagram draws three arrows: models to the database, tools to the cache, retrievers to the file
storage. It shows code for none of them, nor for the queue.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from pyeino.components import tool
from pyeino.compose import Chain
from pyeino.errors import AppError
from pyeino.integrations.files import LocalBlobStore
from pyeino.integrations.sql import SqliteDatabase, SqlQueue
from pyeino.retrieval import IngestOutcome
from pyeino.service import ChatRequest
from pyeino.stores import BlobStore, Queue
from pyeino.wiring import Application, Settings, as_chat_chain, build, load_settings, open_ingestor
from pyeino.wiring._shared import cached_tool

_LENGTH = 'eino_queue_length{queue_name="ingest"}'


def _settings(tmp_path: Path, **overrides: str) -> Settings:
    return load_settings(
        env={}, overrides={"database.url": f"sqlite:///{tmp_path}/p.db", **overrides}
    )


def _chain() -> object:
    return as_chat_chain(Chain(str).then(str.upper).compile(name="c"), name="app:c")


async def test_n5_what_models_say_goes_to_the_database(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    async with build(settings, chat_chain=_chain()) as application:  # type: ignore[arg-type]
        request = ChatRequest(user_id="local", session_id="s", message="hello")
        answer = await application.service.chat(request)
        assert answer.content == "HELLO"
    async with await SqliteDatabase.open(settings.database_path) as database:
        page = await database.scope().messages.list("s", user_id="local")
        assert [one.content for one in page.items] == ["hello", "HELLO"]


async def test_n5_what_tools_say_goes_to_the_cache(tmp_path: Path) -> None:
    asked: list[str] = []

    @tool
    async def look_up(name: str) -> str:
        """Look a name up."""
        asked.append(name)
        return f"{name} is here"

    settings = _settings(tmp_path, **{"cache.enabled": "true"})
    async with build(settings, chat_chain=_chain()) as application:  # type: ignore[arg-type]
        assert application.cache is not None
        kept = cached_tool(
            look_up,
            settings,
            cache=application.cache,
            metrics=application.metrics,
            log=application.logger,
        )
        results = [await kept.run('{"name": "ann"}') for _ in range(2)]
        assert results[0] == results[1]
        assert asked == ["ann"]
        await application.cache.clear()
        await kept.run('{"name": "ann"}')
        assert asked == ["ann", "ann"]


async def test_n5_what_retrievers_find_comes_from_the_file_storage(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "tea.md").write_text("# Tea\n\nGreen tea wants water of 80 degrees.\n")
    settings = _settings(tmp_path)
    async with open_ingestor(settings) as ingestor:
        _, queued = await ingestor.submit(notes)
    assert queued == 1
    shutil.rmtree(notes)  # from here on there is the storage only
    stop = asyncio.Event()
    outcomes: list[IngestOutcome] = []

    def note(outcome: IngestOutcome) -> None:
        outcomes.append(outcome)
        stop.set()

    async with asyncio.timeout(60), open_ingestor(settings) as ingestor:
        await ingestor.work(stop=stop, on_outcome=note, on_trouble=_refuse)
    assert [(one.source, one.failure) for one in outcomes] == [("notes/tea.md", "")]
    async with await SqliteDatabase.open(settings.database_path) as database:
        found = await database.scope().passages.search_keywords("green", index="default", limit=1)
        assert found[0].source == "notes/tea.md"
    async with await LocalBlobStore.open(tmp_path / "p-files") as blobs:
        (kept,) = (await blobs.list("documents")).items
        assert (await blobs.get(kept.key)).startswith(b"# Tea")


async def test_n5_the_queue_is_there_and_its_length_is_shown(tmp_path: Path) -> None:
    settings = _settings(tmp_path, **{"storage.url": f"file://{tmp_path}/elsewhere"})
    async with await SqliteDatabase.open(settings.database_path) as database:
        await database.scope().queue("ingest").enqueue(b"{}")
    async with build(settings, chat_chain=_chain()) as application:  # type: ignore[arg-type]
        queue: Queue = application.queue
        blobs: BlobStore = application.blobs
        assert isinstance(queue, SqlQueue)
        await blobs.put("k", b"v")
        assert (tmp_path / "elsewhere/files/k.blob").read_bytes() == b"v"
        assert set(application.probes) == {"database"}
        await _until(application, f"{_LENGTH} 1.0")
        lease = await queue.receive()
        assert lease is not None
        await queue.ack(lease)
        await _until(application, f"{_LENGTH} 0.0")


async def _until(application: Application, line: str) -> None:
    async with asyncio.timeout(30):
        while line not in application.metrics.render()[0].decode():  # noqa: ASYNC110 (counters tell nobody)
            await asyncio.sleep(0.02)


def _refuse(error: Exception) -> None:
    pytest.fail(str(error))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("queue.url", "nats://h", "redis://"),
        ("storage.url", "ftp://h", "file:///folder"),
        ("storage.url", "file://", "file:///folder"),
        ("storage.url", "s3://k:hunter2@bucket?zone=1", "Unknown option 'zone'"),
    ],
)
def test_an_address_of_another_kind_is_refused_with_a_remedy(
    key: str, value: str, said: str
) -> None:
    with pytest.raises(Exception, match=key) as error:
        load_settings(env={}, overrides={key: value})
    assert said in str(error.value)
    assert "hunter2" not in str(error.value)
    assert not isinstance(error.value, AppError)


def test_files_lie_beside_the_database(tmp_path: Path) -> None:
    assert _settings(tmp_path).storage_folder == tmp_path / "p-files"
    in_memory = _settings(tmp_path, **{"database.url": "sqlite:///:memory:"})
    assert in_memory.storage_folder.name == "pyeino-files"
    assert in_memory.storage_folder.is_absolute()
