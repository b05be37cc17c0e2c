"""main: run a command, and turn whatever it raises into a message and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import cast

from pyeino.cli._exit import ExitCode, UsageError
from pyeino.cli._parser import build_parser
from pyeino.cli._terminal import note, printable
from pyeino.errors import AppError, PyeinoError

# By code, because the rooms that raise them are only imported by the commands that need them.
_USAGE_CODES = frozenset({"SETTINGS_ERROR", "UNFIT_CHAIN", "LOADTEST_CONFIG"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run `pyeino` with `argv` (default: the process's arguments); the exit code.

    0 ok, 1 failure, 2 wrong usage or settings, 130 interrupted. An error is one message on
    standard error; `--debug` adds the traceback.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as exit:  # argparse has said what is wrong, or printed the help
        return ExitCode.OK if exit.code in (0, None) else ExitCode.USAGE
    return guarded(lambda: _run(arguments), debug=arguments.debug)


def guarded(run: Callable[[], int], *, debug: bool) -> int:
    """The exit code of `run`; what it raises is said on standard error."""
    try:
        return run()
    except KeyboardInterrupt:
        _show_traceback(debug)
        note("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Who read our output has gone. Python would complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILURE
    except Exception as error:  # noqa: BLE001 (the last line of defence: a message, no traceback)
        _show_traceback(debug)
        note(f"pyeino: {_message(error, debug=debug)}")
        return _code(error)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.version:
        from pyeino.cli._version import show_version

        return show_version(arguments)
    code: int = arguments.run(arguments)
    return code


def _show_traceback(debug: bool) -> None:
    if debug:
        traceback.print_exc()


def _code(error: Exception) -> ExitCode:
    inner = _first_of(error)
    if inner is not None:
        return _code(inner)
    usage = isinstance(error, UsageError) or getattr(error, "code", "") in _USAGE_CODES
    return ExitCode.USAGE if usage else ExitCode.FAILURE


def _first_of(error: object) -> Exception | None:
    """The first error of a group; None when `error` is a single one."""
    if isinstance(error, ExceptionGroup):
        return cast("ExceptionGroup[Exception]", error).exceptions[0]
    return None


def _message(error: Exception, *, debug: bool) -> str:
    if isinstance(error, AppError):
        parts = [f"{error.message} [{error.code}]"]
        if error.details:
            parts.append(error.details)
        return printable("; ".join(parts))
    if isinstance(error, PyeinoError):
        return printable(str(error))
    inner = _first_of(error)
    if inner is not None:
        return _message(inner, debug=debug)
    if isinstance(error, OSError):
        return printable(str(error))
    hint = "" if debug else " (--debug shows the traceback)"
    return printable(f"unexpected {type(error).__name__}: {error}{hint}")
