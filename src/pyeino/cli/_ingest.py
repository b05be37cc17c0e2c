"""pyeino ingest: files into an index, by this process or by workers."""

from __future__ import annotations

import argparse
import asyncio

from pyeino.cli._exit import ExitCode
from pyeino.cli._settings import settings_from
from pyeino.cli._terminal import ProgressBar, note, printable
from pyeino.errors import AppError
from pyeino.retrieval import IngestProgress, IngestReport
from pyeino.wiring import Settings, open_ingestor


def ingest(arguments: argparse.Namespace) -> int:
    """Bring an index in line with a folder; 1 when a file could not be read."""
    settings = settings_from(arguments)
    index = arguments.index or settings.rag.vector_store.collection
    report, queued = asyncio.run(_ingest(settings, arguments, index))
    note(_summary(report, index, queued=queued))
    for source, reason in report.failed.items():
        note(printable(f"not read: {source}: {reason}"))
    return ExitCode.FAILURE if report.failed else ExitCode.OK


async def _ingest(
    settings: Settings, arguments: argparse.Namespace, index: str
) -> tuple[IngestReport, int]:
    path: str = arguments.path
    bar = ProgressBar(f"indexing {printable(path)}", describe=lambda count: f"{count:.0f}")

    def show(progress: IngestProgress) -> None:
        bar.update(progress.done, progress.total)

    async with open_ingestor(settings, on_wait=_tell) as ingestor:
        if arguments.enqueue:
            return await ingestor.submit(
                path, index=index, origin=arguments.origin, exclude=arguments.exclude
            )
        try:
            report = await ingestor.ingest(
                path,
                index=index,
                origin=arguments.origin,
                exclude=arguments.exclude,
                on_progress=show,
            )
            return report, 0
        finally:
            bar.finish()


def _tell(reason: AppError) -> None:
    note(f"waiting for the database: {reason.message}")


def _summary(report: IngestReport, index: str, *, queued: int) -> str:
    counts = {
        "added": len(report.added),
        "changed": len(report.changed),
        "queued": queued,
        "unchanged": len(report.unchanged),
        "removed": len(report.removed),
        "skipped": len(report.skipped),
    }
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"index {printable(index)}: {said or 'nothing to read'}; {report.passages} passages"
