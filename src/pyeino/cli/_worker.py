"""pyeino worker: do the jobs that others have put on the queue."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal

from pyeino.cli._exit import ExitCode
from pyeino.cli._settings import settings_from
from pyeino.cli._terminal import note, printable
from pyeino.errors import AppError
from pyeino.retrieval import IngestOutcome
from pyeino.wiring import Settings, open_ingestor

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def work(arguments: argparse.Namespace) -> int:
    """Work until SIGTERM or Ctrl-C; what is being done then is finished, and 0 returned."""
    return asyncio.run(_work(settings_from(arguments)))


async def _work(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with open_ingestor(settings) as ingestor:
        for number in _SIGNALS:
            # Where the loop takes no signals, Ctrl-C cancels, and gives back what is being done.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, stop.set)
        note("waiting for jobs; Ctrl-C ends")
        try:
            await ingestor.work(stop=stop, on_outcome=_tell, on_trouble=_complain)
        finally:
            for number in _SIGNALS:
                with contextlib.suppress(NotImplementedError):
                    loop.remove_signal_handler(number)
    note("no more jobs are taken")
    return ExitCode.OK


def _tell(outcome: IngestOutcome) -> None:
    source = printable(outcome.source or outcome.job_id)
    if not outcome.failure:
        note(f"indexed {source}: {outcome.passages} passages")
    elif outcome.again:
        note(printable(f"failed, will be tried again: {source}: {outcome.failure}"))
    else:
        note(printable(f"not read: {source}: {outcome.failure}"))


def _complain(error: Exception) -> None:
    remedy = f"; {error.details}" if isinstance(error, AppError) and error.details else ""
    note(printable(f"in trouble, will try again: {error}{remedy}"))
