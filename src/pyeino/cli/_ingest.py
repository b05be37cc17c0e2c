"""pyeino ingest: files into an index."""

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
    report = asyncio.run(_ingest(settings, arguments.path, index, arguments.origin))
    note(_summary(report, index))
    for source, reason in report.failed.items():
        note(printable(f"not read: {source}: {reason}"))
    return ExitCode.FAILURE if report.failed else ExitCode.OK


async def _ingest(settings: Settings, path: str, index: str, origin: str) -> IngestReport:
    bar = ProgressBar(f"indexing {printable(path)}", describe=lambda count: f"{count:.0f}")

    def show(progress: IngestProgress) -> None:
        bar.update(progress.done, progress.total)

    async with open_ingestor(settings, on_wait=_tell) as ingestor:
        try:
            return await ingestor.ingest(path, index=index, origin=origin, on_progress=show)
        finally:
            bar.finish()


def _tell(reason: AppError) -> None:
    note(f"waiting for the database: {reason.message}")


def _summary(report: IngestReport, index: str) -> str:
    counts = {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": report.skipped,
    }
    said = ", ".join(f"{len(names)} {word}" for word, names in counts.items() if names)
    return f"index {printable(index)}: {said or 'nothing to read'}; {report.passages} passages"
