"""pyeino loadtest: put a server under load, and say what it takes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pyeino.cli._exit import ExitCode, UsageError
from pyeino.cli._terminal import is_terminal, note, printable, say
from pyeino.loadtest import (
    AiohttpClient,
    LoadTestConfig,
    LoadTester,
    LoadTestResult,
    Progress,
    html_report,
    progress_line,
    split_bodies,
    text_report,
)
from pyeino.server import loop_factory
from pyeino.wiring import parse_duration

_KEY = "PYEINO_LOADTEST_API_KEY"


def loadtest(arguments: argparse.Namespace) -> int:
    """Run the test and write its reports; 1 when a threshold was missed or nothing succeeded."""
    config = config_from(arguments)
    thresholds = _Thresholds(arguments)
    files = _report_files(arguments)
    live = not arguments.quiet and is_terminal(sys.stderr)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        result = runner.run(_run(config, live=live))
    to_stdout = arguments.json == "-"
    for path, text in files:
        path.write_bytes(result.to_json() if text == "json" else html_report(result).encode())
    if to_stdout:
        sys.stdout.write(result.to_json().decode())
    (note if to_stdout else say)(printable(text_report(result)))
    missed = thresholds.missed(result)
    for one in missed:
        note(f"pyeino: {one}")
    if result.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.FAILURE if missed else ExitCode.OK


def config_from(arguments: argparse.Namespace) -> LoadTestConfig:
    """The test that the flags declare. Raises UsageError and LoadTestConfigError."""
    target: str = arguments.target
    return LoadTestConfig(
        target=target if "://" in target else f"http://{target}",
        concurrency=arguments.concurrency,
        duration=_seconds("--duration", arguments.duration),
        ramp_up=_seconds("--ramp-up", arguments.ramp_up),
        rate=arguments.rate,
        timeout=_seconds("--timeout", arguments.timeout),
        drain=_seconds("--drain", arguments.drain),
        method=arguments.method.upper(),
        bodies=_bodies(arguments.body),
        headers=_headers(arguments.header),
        api_key=arguments.api_key or os.environ.get(_KEY, ""),
        first_chunk_limit=_seconds("--first-chunk-limit", arguments.first_chunk_limit),
        gap_limit=_seconds("--gap-limit", arguments.gap_limit),
        ca_file=Path(arguments.ca_file) if arguments.ca_file else None,
        verify=not arguments.insecure,
    )


async def _run(config: LoadTestConfig, *, live: bool) -> LoadTestResult:
    """Run until the end or Ctrl-C, which ends the test and keeps what was found."""
    loop = asyncio.get_running_loop()
    async with AiohttpClient(config) as client:
        tester = LoadTester(config, client, on_progress=_draw if live else None)

        def stop() -> None:
            loop.remove_signal_handler(signal.SIGINT)  # the next Ctrl-C ends us at once
            tester.stop()

        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends us without a report
            loop.add_signal_handler(signal.SIGINT, stop)
        try:
            return await tester.run()
        finally:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(signal.SIGINT)
            if live:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()


def _draw(progress: Progress) -> None:
    sys.stderr.write(f"\r{printable(progress_line(progress))}\x1b[K")
    sys.stderr.flush()


class _Thresholds:
    """What a result has to keep for exit code 0."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._error_rate: float | None = arguments.max_error_rate
        if self._error_rate is not None and not 0 <= self._error_rate <= 1:
            raise UsageError(
                f"--max-error-rate {self._error_rate}: expected a share from 0 to 1",
                remedy="for example 0.01 for one in a hundred",
            )
        given: str | None = arguments.max_p95
        self._p95 = None if given is None else _seconds("--max-p95", given)

    def missed(self, result: LoadTestResult) -> list[str]:
        """What was not kept, in words."""
        found: list[str] = []
        if not result.success_requests:
            found.append(f"no request succeeded: {_errors(result)}")
        if self._error_rate is not None and result.error_rate > self._error_rate:
            found.append(
                f"the error rate is {result.error_rate:.4f}, above --max-error-rate "
                f"{self._error_rate:g}"
            )
        p95 = result.p95_latency
        if self._p95 is not None and (p95 is None or p95 > self._p95):
            shown = "unknown: nothing succeeded in the window" if p95 is None else f"{p95:.4f} s"
            found.append(f"the p95 latency is {shown}, above --max-p95 {self._p95:g} s")
        return found


def _errors(result: LoadTestResult) -> str:
    return ", ".join(f"{times} × {word}" for word, times in result.errors.items()) or "none ended"


def _report_files(arguments: argparse.Namespace) -> list[tuple[Path, str]]:
    """Where reports go. Refused before the test when there is no such folder, not after it."""
    wanted = ((arguments.json, "json"), (arguments.html, "html"))
    found = [(Path(name), kind) for name, kind in wanted if name and name != "-"]
    for path, kind in found:
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise UsageError(
                f"--{kind} {path}: expected a file in a folder that is there",
                remedy=f"make the folder first: mkdir -p {path.parent}",
            )
    return found


def _bodies(given: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for text in given:
        if not text.startswith("@"):
            found.append(text)
            continue
        try:
            content = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"--body {text}: the file cannot be read: {error}",
                remedy="name a text file with one body, or one a line",
            ) from None
        found.extend(split_bodies(content))
    return tuple(found)


def _headers(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, mark, value = text.partition(":")
        if not mark:
            raise UsageError(
                "--header: expected NAME: VALUE (what was given is not shown)",
                remedy='for example --header "X-Request-ID: test"',
            )
        found[name.strip()] = value.strip()
    return found


def _seconds(flag: str, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}", remedy="for example 30s, 2m or 250ms") from None
