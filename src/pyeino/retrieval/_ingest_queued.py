"""QueuedIngestor: files go into the file storage, jobs on the queue, workers take them there."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote

import msgspec

from pyeino.concurrency import Job, WorkerPool
from pyeino.errors import AppError
from pyeino.retrieval._document_writer import DocumentWriter, digest, document_id
from pyeino.retrieval._files import FileContent
from pyeino.retrieval._ingest_plan import IngestPlan, PlannedFile, plan_ingest
from pyeino.retrieval._ingest_report import IngestProgress, IngestReport
from pyeino.retrieval._ingest_worker import IngestJob, IngestOutcome, IngestWorker
from pyeino.retrieval._legs import DEFAULT_INDEX
from pyeino.stores import MAX_PAGE, BlobStore, IndexedDocument, Queue

_READERS: Final = 2
_LOOK_EVERY: Final = 1.0
"""Seconds after which the index is asked whether another process has done our jobs."""

_LOST: Final = "the job has left the queue without a trace: other failures came after it"

OnProgress = Callable[[IngestProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A job that is not done yet, and the digest that its document will have."""

    file: PlannedFile
    digest: str


@dataclass(slots=True, kw_only=True)
class _Run:
    """One ingestion: what it says in the end, and what it still waits for."""

    plan: IngestPlan
    index: str
    on_progress: OnProgress | None
    report: IngestReport = field(default_factory=IngestReport)
    waiting: dict[str, _Waiting] = field(default_factory=dict[str, _Waiting])
    submitted: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, source: str) -> None:
        """Say how far it is, and whether that is the end."""
        report = self.report
        count = len(report.added) + len(report.changed) + len(report.unchanged)
        count += len(report.failed) + len(report.skipped)
        if self.on_progress is not None:
            progress = IngestProgress(done=count, total=self.plan.total, source=source)
            self.on_progress(progress)
        if self.submitted and not self.waiting:
            self.done.set()

    def settle(self, outcome: IngestOutcome) -> None:
        """Note what became of a job, if it is one of ours."""
        if outcome.again or (mine := self.waiting.pop(outcome.job_id, None)) is None:
            return
        file, report = mine.file, self.report
        if outcome.failure:
            report.fail(file.source, outcome.failure, before=file.before)
        else:
            report.store(
                file.source,
                before=file.before,
                passages=outcome.passages,
                embedded=outcome.embedded,
            )
        self.tell(file.source)


class QueuedIngestor:
    """Ingestion whose work outlives the process: files in `blobs`, one job a document on `queue`.

    `ingest` puts in what is new or has changed, and works on the queue until its own jobs are
    done, by whomever; jobs that an earlier process left are done on the way. `submit` only puts
    in; `work` only works. Files keep their place in the storage until they leave the index.
    """

    def __init__(
        self, writer: DocumentWriter, *, queue: Queue, blobs: BlobStore, workers: int = 2
    ) -> None:
        self._writer = writer
        self._queue = queue
        self._blobs = blobs
        self._worker = IngestWorker(writer, queue=queue, blobs=blobs, workers=workers)

    async def submit(
        self,
        path: str | Path,
        *,
        index: str = DEFAULT_INDEX,
        origin: str = "",
        exclude: Sequence[str] = (),
        on_progress: OnProgress | None = None,
    ) -> tuple[IngestReport, int]:
        """Put in what brings `index` in line with `path`; a report without it, and how many jobs.

        What is gone leaves the index now. Raises what Ingestor.ingest raises but for the embedder,
        and InternalError QUEUE_FULL.
        """
        run = await self._begin(path, index, origin, exclude, on_progress)
        await self._submit(run)
        count = len(run.waiting)
        await self._remove_gone(run)
        run.report.sort()
        return run.report, count

    async def ingest(
        self,
        path: str | Path,
        *,
        index: str = DEFAULT_INDEX,
        origin: str = "",
        exclude: Sequence[str] = (),
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """Bring `index` in line with the file or folder at `path`, as Ingestor.ingest does.

        When it is cancelled or killed, the jobs stay: doing it again, or a worker, goes on.
        """
        run = await self._begin(path, index, origin, exclude, on_progress)
        helper = asyncio.ensure_future(self._help(run))
        try:
            submitting = asyncio.ensure_future(self._submit(run))
            try:
                # A helper that ends first has failed: nobody would do what is put in.
                await asyncio.wait([submitting, helper], return_when=asyncio.FIRST_COMPLETED)
                if helper.done():
                    helper.result()
                await submitting
            finally:
                submitting.cancel()
                await asyncio.wait([submitting])
            run.submitted = True
            run.tell("")
            await helper
        finally:
            helper.cancel()
            await asyncio.wait([helper])
        await self._remove_gone(run)
        run.report.sort()
        return run.report

    async def work(
        self,
        *,
        stop: asyncio.Event,
        on_outcome: Callable[[IngestOutcome], None],
        on_trouble: Callable[[Exception], None],
    ) -> None:
        """Do whatever jobs there are, until `stop` is set; failures are told, not raised."""
        await self._worker.run(stop=stop, on_outcome=on_outcome, on_trouble=on_trouble)

    async def _begin(
        self,
        path: str | Path,
        index: str,
        origin: str,
        exclude: Sequence[str],
        on_progress: OnProgress | None,
    ) -> _Run:
        writer = self._writer
        plan = await plan_ingest(
            path,
            store=writer.store,
            loader=writer.loader,
            index=index,
            origin=origin,
            exclude=exclude,
        )
        report = IngestReport(skipped=list(plan.skipped))
        return _Run(plan=plan, index=index, on_progress=on_progress, report=report)

    async def _submit(self, run: _Run) -> None:
        async with aclosing(self._read(run.plan)) as contents:
            async for file, content in contents:
                if isinstance(content, str):
                    run.report.fail(file.source, content, before=file.before)
                elif self._writer.is_current(file.before, content.digest):
                    run.report.leave(file.source, before=file.before)
                else:
                    await self._put(run, file, content)
                    continue
                run.tell(file.source)

    async def _put(self, run: _Run, file: PlannedFile, content: FileContent) -> None:
        """Store the file, then the job: a job without a file would be in vain."""
        job = IngestJob(
            key=_key(run.index, file),
            location=file.location,
            source=file.source,
            index=run.index,
            model=self._writer.model,
        )
        wanted = self._writer.digest_of(content.digest)
        job_id = digest(run.index, file.location, wanted, job.model)
        await self._blobs.put(job.key, content.data)
        run.waiting[job_id] = _Waiting(file=file, digest=wanted)
        await self._queue.enqueue(msgspec.json.encode(job), message_id=job_id)

    async def _read(
        self, plan: IngestPlan
    ) -> AsyncGenerator[tuple[PlannedFile, FileContent | str]]:
        """Files and their bytes, or why there are none, in the order in which reading ends."""
        waiting = deque(plan.readable)
        unread: dict[str, PlannedFile] = {}
        async with WorkerPool[Path, FileContent](_READERS) as pool:
            results = pool.results()
            while waiting or unread:
                while waiting and pool.submit(
                    Job(id=waiting[0].location, data=waiting[0].path, fn=self._writer.loader.read)
                ):
                    file = waiting.popleft()
                    unread[file.location] = file
                result = await anext(results)
                file = unread.pop(result.id)
                if result.data is not None:
                    yield file, result.data
                else:
                    yield file, str(result.error) or type(result.error).__name__

    async def _help(self, run: _Run) -> None:
        """Work until the jobs of this run are done, here or elsewhere."""
        looking = asyncio.ensure_future(self._look(run))
        try:
            await self._worker.run(stop=run.done, on_outcome=run.settle)
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    async def _look(self, run: _Run) -> None:
        """See now and then what other workers have done of this run's jobs."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if run.waiting:
                # A store in trouble is told by the worker, which asks it all the time.
                with contextlib.suppress(AppError):
                    await self._look_once(run)

    async def _look_once(self, run: _Run) -> None:
        """Settle what is in the index, or among the dead letters, by now; or in neither."""
        # Asked first: what leaves an empty queue later than this has its trace below.
        nothing_left = run.submitted and not (await self._queue.counts()).length
        stored = await self._writer.store.documents(index=run.index, under=run.plan.under)
        known = {one.location: one for one in stored}
        for job_id, one in list(run.waiting.items()):
            found = known.get(one.file.location)
            if found and (found.digest, found.model) == (one.digest, self._writer.model):
                run.settle(_done_elsewhere(job_id, one.file, found))
        for letter in await self._queue.dead_letters(limit=MAX_PAGE):
            if letter.id in run.waiting:
                source = run.waiting[letter.id].file.source
                run.settle(IngestOutcome(job_id=letter.id, source=source, failure=letter.reason))
        if nothing_left:
            for job_id, one in list(run.waiting.items()):
                run.settle(IngestOutcome(job_id=job_id, source=one.file.source, failure=_LOST))

    async def _remove_gone(self, run: _Run) -> None:
        gone = run.plan.gone
        run.report.removed = [one.source for one in gone]
        await self._writer.store.delete_documents([one.id for one in gone], index=run.index)
        for one in gone:
            await self._blobs.delete(_key_of(run.index, one.location, one.source))
        run.tell("")


def _done_elsewhere(job_id: str, file: PlannedFile, found: IndexedDocument) -> IngestOutcome:
    return IngestOutcome(job_id=job_id, source=file.source, passages=found.passages)


def _key(index: str, file: PlannedFile) -> str:
    return _key_of(index, file.location, file.source)


def _key_of(index: str, location: str, source: str) -> str:
    """Where the file of a document is kept; a newer one of it takes its place."""
    folder = quote(index, safe="")[:100].replace(".", "%2E")
    suffix = PurePosixPath(source).suffix.lower()
    return f"documents/{folder}/{document_id(location)}{suffix if suffix.isascii() else ''}"
