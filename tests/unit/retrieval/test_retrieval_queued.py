"""Ingestion over a queue: the same index as without one, whoever does the work, whoever dies."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pyeino.components import EmbedderOptions
from pyeino.errors import ExternalError
from pyeino.integrations.files import LocalBlobStore
from pyeino.integrations.sql import SqliteDatabase, SqlPassageStore
from pyeino.retrieval import (
    DocumentWriter,
    IngestJob,
    Ingestor,
    IngestOutcome,
    IngestProgress,
    IngestWorker,
    QueuedIngestor,
)
from pyeino.stores import BlobStore, Queue, QueueCounts, QueueOptions

_OPTIONS = QueueOptions(visibility_timeout=0.3, max_attempts=50)


class _Embedder:
    """Counts; fails or hangs when it is told to."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.error: Exception | None = None
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        self.begun.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.texts.extend(texts)
        return [[1.0 + len(text), 1.0] for text in texts]


@dataclass
class _World:
    store: SqlPassageStore
    queue: Queue
    blobs: BlobStore

    def writer(self, embedder: _Embedder, *, model: str = "m") -> DocumentWriter:
        return DocumentWriter(self.store, embedder, model=model)

    def ingestor(self, embedder: _Embedder, *, model: str = "m") -> QueuedIngestor:
        writer = self.writer(embedder, model=model)
        return QueuedIngestor(writer, queue=self.queue, blobs=self.blobs)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[_World]:
    async with (
        await SqliteDatabase.open(tmp_path / "p.db") as database,
        await LocalBlobStore.open(tmp_path / "files") as blobs,
    ):
        scope = database.scope()
        yield _World(scope.passages, scope.queue("ingest", options=_OPTIONS), blobs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "deep").mkdir(parents=True)
    (root / "a.md").write_text("# Alpha\n\nFirst.\n\n## Part\n\nSecond.\n")
    (root / "deep" / "b.txt").write_text("Plain text.\n")
    (root / "bad.txt").write_bytes(b"\xff\xfe\x00broken")
    (root / "image.png").write_bytes(b"\x89PNG")
    return root


async def test_the_index_is_the_same_as_without_a_queue(world: _World, folder: Path) -> None:
    direct = await Ingestor(world.store, _Embedder(), model="m").ingest(folder, index="direct")
    seen: list[IngestProgress] = []
    queued = await world.ingestor(_Embedder()).ingest(folder, on_progress=seen.append)
    # Only the path of the unreadable file differs: it is read from the storage.
    assert dataclasses.replace(queued, failed=direct.failed) == direct
    assert (queued.added, queued.skipped) == (["notes/a.md", "notes/deep/b.txt"], [
        "notes/image.png"
    ])  # fmt: skip
    assert list(queued.failed) == ["notes/bad.txt"]
    assert (seen[-1].done, seen[-1].total) == (4, 4)
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    for text in ("first", "second", "plain"):
        (one,) = await world.store.search_keywords(text, index="default", limit=9)
        (other,) = await world.store.search_keywords(text, index="direct", limit=9)
        assert (one.content, one.source) == (other.content, other.source)
    (letter,) = await world.queue.dead_letters()
    assert "utf-8" in letter.reason


async def test_doing_it_again_puts_nothing_in(world: _World, folder: Path) -> None:
    embedder = _Embedder()
    (folder / "bad.txt").unlink()
    ingestor = world.ingestor(embedder)
    first = await ingestor.ingest(folder)
    made = len(embedder.texts)
    again = await ingestor.ingest(folder)
    assert (again.unchanged, again.passages, len(embedder.texts)) == (first.added, 3, made)
    report, queued = await ingestor.submit(folder)
    assert (report.unchanged, queued) == (first.added, 0)
    assert await world.queue.counts() == QueueCounts()


async def test_what_changes_or_goes_is_followed_by_the_storage(world: _World, folder: Path) -> None:
    ingestor = world.ingestor(_Embedder())
    (folder / "bad.txt").unlink()
    await ingestor.ingest(folder)
    assert len((await world.blobs.list("documents/default")).items) == 2
    (folder / "a.md").write_text("# Alpha\n\nThird.\n")
    (folder / "deep" / "b.txt").unlink()
    report = await ingestor.ingest(folder)
    assert (report.changed, report.removed) == (["notes/a.md"], ["notes/deep/b.txt"])
    (kept,) = (await world.blobs.list()).items
    assert await world.blobs.get(kept.key) == b"# Alpha\n\nThird.\n"


async def test_another_worker_may_do_the_work(world: _World, folder: Path) -> None:
    report, queued = await world.ingestor(_Embedder()).submit(folder)
    assert (report.added, queued, (await world.queue.counts()).ready) == ([], 3, 3)
    outcomes: list[IngestOutcome] = []
    stop = asyncio.Event()

    def note(outcome: IngestOutcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) == 3:
            stop.set()

    worker = IngestWorker(world.writer(_Embedder()), queue=world.queue, blobs=world.blobs)
    async with asyncio.timeout(30):
        await worker.run(stop=stop, on_outcome=note)
    assert sorted(one.source for one in outcomes if one.failure) == ["notes/bad.txt"]
    assert len(await world.store.search_keywords("plain first", index="default", limit=9)) == 2


async def test_a_job_done_elsewhere_is_seen(world: _World, folder: Path) -> None:
    """One process waits for the lease of another, which then does the job."""
    (folder / "bad.txt").unlink()
    other = _Embedder()
    other.gate.clear()
    stop = asyncio.Event()
    worker = IngestWorker(world.writer(other), queue=world.queue, blobs=world.blobs, workers=2)
    await world.ingestor(_Embedder()).submit(folder)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(worker.run(stop=stop, on_outcome=lambda _: None))
        await other.begun.wait()
        mine = _Embedder()
        ingesting = group.create_task(world.ingestor(mine).ingest(folder))
        await asyncio.sleep(2 * _OPTIONS.visibility_timeout)  # the lease is kept all the while
        assert not ingesting.done()
        other.gate.set()
        report = await ingesting
        stop.set()
    assert (report.added, mine.texts) == (["notes/a.md", "notes/deep/b.txt"], [])


async def test_what_a_dead_worker_left_is_done_by_the_next(world: _World, folder: Path) -> None:
    """Its leases end by themselves; what it had stored but not acknowledged is not done twice."""
    (folder / "bad.txt").unlink()
    await world.ingestor(_Embedder()).submit(folder)
    stored = _Embedder()
    for _ in range(2):
        lease = await world.queue.receive(wait=5)
        assert lease is not None
    await Ingestor(world.store, stored, model="m").ingest(folder / "a.md")
    mine = _Embedder()
    async with asyncio.timeout(30):
        report = await world.ingestor(mine).ingest(folder)
    assert sorted(report.added + report.unchanged) == ["notes/a.md", "notes/deep/b.txt"]
    assert mine.texts == ["Plain text."]


async def test_cancelling_gives_the_job_back_at_once(world: _World, folder: Path) -> None:
    embedder = _Embedder()
    embedder.gate.clear()
    task = asyncio.create_task(world.ingestor(embedder).ingest(folder / "a.md"))
    await embedder.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await world.queue.counts() == QueueCounts(ready=1)
    report = await world.ingestor(_Embedder()).ingest(folder / "a.md")
    assert report.added == ["notes/a.md"]


async def test_a_failing_embedder_is_raised_and_the_job_stays(world: _World, folder: Path) -> None:
    embedder = _Embedder()
    embedder.error = ExternalError("PROVIDER_UNREACHABLE", "no answer")
    with pytest.raises(ExternalError, match="no answer"):
        await world.ingestor(embedder).ingest(folder / "a.md")
    assert (await world.queue.counts()).length == 1
    assert (await world.ingestor(_Embedder()).ingest(folder / "a.md")).added == ["notes/a.md"]


async def test_a_patient_worker_tries_again_later(world: _World, folder: Path) -> None:
    await world.ingestor(_Embedder()).submit(folder / "a.md")
    embedder = _Embedder()
    embedder.error = ExternalError("PROVIDER_UNREACHABLE", "no answer")
    outcomes: list[IngestOutcome] = []
    stop = asyncio.Event()

    def note(outcome: IngestOutcome) -> None:
        outcomes.append(outcome)
        embedder.error = None
        if not outcome.failure:
            stop.set()

    async with asyncio.timeout(30):
        await world.ingestor(embedder).work(
            stop=stop, on_outcome=note, on_trouble=lambda error: pytest.fail(str(error))
        )
    assert [one.again for one in outcomes] == [True, False]
    assert ("no answer" in outcomes[0].failure, outcomes[1].failure) == (True, "")


async def test_what_can_never_be_done_is_a_dead_letter(world: _World, folder: Path) -> None:
    await world.queue.enqueue(b"{}", message_id="no job")
    await world.ingestor(_Embedder(), model="other").submit(folder / "a.md")
    job = b'{"key":"documents/x","location":"l","source":"s","index":"i","model":"m"}'
    await world.queue.enqueue(job, message_id="no file")
    stop = asyncio.Event()
    outcomes: list[IngestOutcome] = []

    def note(outcome: IngestOutcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) == 3:
            stop.set()

    worker = IngestWorker(world.writer(_Embedder()), queue=world.queue, blobs=world.blobs)
    async with asyncio.timeout(30):
        await worker.run(stop=stop, on_outcome=note)
    reasons = " | ".join(sorted(one.reason for one in await world.queue.dead_letters()))
    assert "no ingestion job" in reasons
    assert "not in the file storage" in reasons
    assert "the embedder 'other'" in reasons
    assert IngestJob.__struct_fields__ == ("key", "location", "source", "index", "model")


async def test_stopping_ends_a_worker_that_waits(world: _World) -> None:
    stop = asyncio.Event()
    worker = IngestWorker(world.writer(_Embedder()), queue=world.queue, blobs=world.blobs)
    task = asyncio.create_task(worker.run(stop=stop, on_outcome=lambda _: None))
    await asyncio.sleep(0.05)
    stop.set()
    async with asyncio.timeout(30):
        await task
    with contextlib.suppress(ValueError):
        IngestWorker(world.writer(_Embedder()), queue=world.queue, blobs=world.blobs, workers=0)
        pytest.fail("0 workers were taken")


async def test_a_job_that_vanished_is_a_failure_and_not_a_wait_for_ever(
    world: _World, folder: Path
) -> None:
    class Forgetful:
        """The queue, of which another worker buries the job and others its dead letter."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.queue, name)

        async def receive(self, *, wait: float = 0.0) -> None:
            lease = await world.queue.receive(wait=wait)
            if lease is not None:
                await world.queue.ack(lease)

    queue: Any = Forgetful()
    ingestor = QueuedIngestor(world.writer(_Embedder()), queue=queue, blobs=world.blobs)
    async with asyncio.timeout(30):
        report = await ingestor.ingest(folder)
    assert report.failed
    assert all("left the queue" in reason for reason in report.failed.values())
