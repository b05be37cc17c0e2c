"""LoadTester: puts a server under load as a config says, and reports what it has found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pyeino.errors import PyeinoError
from pyeino.loadtest._client import HTTPClient
from pyeino.loadtest._config import LoadTestConfig
from pyeino.loadtest._http import AiohttpClient
from pyeino.loadtest._result import LoadTestResult, TimelinePoint
from pyeino.loadtest._run import LoadRun


class LoadTestError(PyeinoError, RuntimeError):
    """A load tester was asked for something that it cannot do now."""

    default_code = "LOADTEST_ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a test is: `phase` is ramp, window or drain; `last` is the latest slice of time."""

    phase: str
    elapsed: float
    total: float
    sent: int
    success: int
    failed: int
    active: int
    last: TimelinePoint


class LoadTester:
    """One load test of `config` through `client`, which the caller opens and closes.

    `on_progress` is called about twice a second while the test runs (less often in a long one).
    """

    def __init__(
        self,
        config: LoadTestConfig,
        client: HTTPClient,
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.config = config
        self._client = client
        self._on_progress = on_progress
        self._run: LoadRun | None = None
        self._stopped = False

    async def run(self) -> LoadTestResult:
        """Run the test once; what it has found. LoadTestError when it has run already.

        Requests that are under way when the window ends may still end for `config.drain` seconds.
        """
        if self._run is not None:
            raise LoadTestError(
                "a load tester runs once", remedy="make another one from the same config"
            )
        run = self._run = LoadRun(self.config, self._client)
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(self._watch(run), name="loadtest-progress")
            try:
                if self._stopped:
                    run.stop()
                await run.go()
            finally:
                watcher.cancel()
        return run.result()

    def stop(self) -> None:
        """End the test now: what is under way is given up, and `run` returns what was found."""
        self._stopped = True
        if self._run is not None:
            self._run.stop()

    def result(self) -> LoadTestResult:
        """What has been found so far; also after `run` was cancelled."""
        if self._run is None:
            raise LoadTestError("the load test has not begun", remedy="await run() first")
        return self._run.result()

    async def _watch(self, run: LoadRun) -> None:
        while True:
            point = await run.next_point()
            if self._on_progress is not None and point is not None:
                self._on_progress(_progress(run, point))


def _progress(run: LoadRun, point: TimelinePoint) -> Progress:
    seen = run.seen()
    return Progress(
        phase=run.phase,
        elapsed=run.elapsed,
        total=run.config.ramp_up + run.config.duration,
        sent=seen.sent,
        success=seen.success,
        failed=seen.failed,
        active=run.active,
        last=point,
    )


async def run_load_test(
    config: LoadTestConfig, *, on_progress: Callable[[Progress], None] | None = None
) -> LoadTestResult:
    """Run `config` over HTTP with a client of its own; what it has found."""
    async with AiohttpClient(config) as client:
        return await LoadTester(config, client, on_progress=on_progress).run()
