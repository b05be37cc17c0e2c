"""Ingestor: a folder of files becomes an index, and stays one when they change."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pyeino.components import Embedder
from pyeino.concurrency import Job, WorkerPool
from pyeino.retrieval._document_writer import DocumentWriter
from pyeino.retrieval._files import FileLoader
from pyeino.retrieval._ingest_plan import PlannedFile, plan_ingest
from pyeino.retrieval._ingest_report import IngestProgress, IngestReport
from pyeino.retrieval._legs import DEFAULT_INDEX
from pyeino.retrieval._splitter import HeadingSplitter
from pyeino.schema import Document
from pyeino.stores import PassageStore

_READERS: Final = 2


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A file that was read: its passages, or that nothing has changed, or what went wrong."""

    file: PlannedFile
    digest: str = field(default="", kw_only=True)
    passages: Sequence[Document] = field(default=(), kw_only=True)
    unchanged: bool = field(default=False, kw_only=True)
    failure: str = field(default="", kw_only=True)


class Ingestor:
    """Fills an index from files in this task: read, cut, embed what is new, store one at a time.

    A small change embeds only what it touched, and files that are gone leave the index. For work
    that survives this process, or is shared by several, see QueuedIngestor.
    """

    def __init__(
        self,
        store: PassageStore,
        embedder: Embedder,
        *,
        model: str,
        loader: FileLoader | None = None,
        splitter: HeadingSplitter | None = None,
    ) -> None:
        self._store = store
        self._writer = DocumentWriter(
            store, embedder, model=model, loader=loader, splitter=splitter
        )

    async def ingest(
        self,
        path: str | Path,
        *,
        index: str = DEFAULT_INDEX,
        origin: str = "",
        exclude: Sequence[str] = (),
        on_progress: Callable[[IngestProgress], None] | None = None,
    ) -> IngestReport:
        """Bring `index` in line with the file or folder at `path`.

        `origin` is a name that stands for the folder, so that it may lie elsewhere next time;
        without it the absolute path does. Files whose path below the folder fits a pattern of
        `exclude`, such as `drafts/*`, are left out, and leave the index. A cancelled
        ingestion has stored whole documents only, and going on later costs no more than the rest.
        Raises NotFoundError FILE_NOT_FOUND, InternalError INDEX_FULL, and what the embedder
        raises; a file that cannot be read is in `failed` instead.
        """
        loader = self._writer.loader
        plan = await plan_ingest(
            path, store=self._store, loader=loader, index=index, origin=origin, exclude=exclude
        )
        report = IngestReport(skipped=list(plan.skipped))
        done = len(plan.skipped)
        async with aclosing(self._prepared(plan.readable)) as ready:
            async for prepared in ready:
                if on_progress is not None:
                    source = prepared.file.source
                    on_progress(IngestProgress(done=done, total=plan.total, source=source))
                await self._store_file(prepared, index, report)
                done += 1
        report.removed = [one.source for one in plan.gone]
        await self._store.delete_documents([one.id for one in plan.gone], index=index)
        if on_progress is not None:
            on_progress(IngestProgress(done=done, total=plan.total, source=""))
        report.sort()
        return report

    async def _prepared(self, files: Sequence[PlannedFile]) -> AsyncGenerator[_Prepared]:
        """Files read and cut, a few ahead of who stores them, in the order in which they end."""
        waiting = deque(files)
        unread = 0
        async with WorkerPool[PlannedFile, _Prepared](_READERS) as pool:
            results = pool.results()
            while waiting or unread:
                while waiting and pool.submit(
                    Job(id=waiting[0].location, data=waiting[0], fn=self._prepare)
                ):
                    waiting.popleft()
                    unread += 1
                result = await anext(results)
                unread -= 1
                if result.data is None:  # a job of ours raises nothing: it was cancelled
                    raise result.error or AssertionError("a job without a result")
                yield result.data

    async def _prepare(self, file: PlannedFile) -> _Prepared:
        """Read a file, and cut it when it is new or has changed; what goes wrong is its result."""
        try:
            content = await self._writer.loader.read(file.path)
            if self._writer.is_current(file.before, content.digest):
                return _Prepared(file, unchanged=True)
            cut = await self._writer.cut(file.path, content.data)
        except Exception as error:  # noqa: BLE001 - told in the report: other files are not to blame
            return _Prepared(file, failure=str(error) or type(error).__name__)
        return _Prepared(file, digest=content.digest, passages=cut)

    async def _store_file(self, prepared: _Prepared, index: str, report: IngestReport) -> None:
        """Embed and store one file, when there is something to do, and say so in the report."""
        file = prepared.file
        if prepared.failure:
            report.fail(file.source, prepared.failure, before=file.before)
        elif prepared.unchanged:
            report.leave(file.source, before=file.before)
        else:
            written = await self._writer.write(
                prepared.passages,
                location=file.location,
                source=file.source,
                content_digest=prepared.digest,
                index=index,
            )
            report.store(
                file.source,
                before=file.before,
                passages=written.passages,
                embedded=written.embedded,
            )
