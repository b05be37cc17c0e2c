"""Writing to a terminal, or to whatever stands in its place."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

_KEPT = {"\n", "\t"}
_BAR_WIDTH = 30
_REDRAW_EVERY = 0.1


def say(text: str = "") -> None:
    """A line on standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line on standard error: what is said about the work, not its result."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def stream_text(text: str) -> None:
    """A piece of an answer on standard output, at once, without control characters."""
    sys.stdout.write(printable(text))
    sys.stdout.flush()


def printable(text: str) -> str:
    """`text` without control characters, so that no answer can steer the terminal."""
    if text.isprintable():
        return text
    return "".join(
        one for one in text if one in _KEPT or not (ord(one) < 32 or 127 <= ord(one) < 160)
    )


def is_terminal(stream: TextIO) -> bool:
    """Whether a human looks at `stream`."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def format_size(size: float) -> str:
    """`size` bytes in words: 98.4 MB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


class ProgressBar:
    """How far some work is, on standard error: a bar on a terminal, else nothing but its end.

    `describe` puts an amount in words; amounts are bytes where nothing else is said.
    """

    def __init__(
        self,
        label: str,
        *,
        stream: TextIO | None = None,
        describe: Callable[[float], str] = format_size,
    ) -> None:
        self._label = label
        self._describe = describe
        self._stream = stream or sys.stderr
        self._live = is_terminal(self._stream)
        self._drawn_at = 0.0

    def update(self, done: int, total: int | None) -> None:
        """Show `done` of `total`; `total` is None when nobody knows it."""
        now = time.monotonic()
        finished = total is not None and done >= total
        if not self._live or (now - self._drawn_at < _REDRAW_EVERY and not finished):
            return
        self._drawn_at = now
        self._stream.write(f"\r{self._label} {self._bar(done, total)}\x1b[K")
        self._stream.flush()

    def finish(self) -> None:
        """End the line of the bar."""
        if self._live and self._drawn_at:
            self._stream.write("\n")
            self._stream.flush()

    def _bar(self, done: int, total: int | None) -> str:
        if not total:
            return self._describe(done)
        share = min(1.0, done / total)
        full = round(share * _BAR_WIDTH)
        bar = "#" * full + "." * (_BAR_WIDTH - full)
        return f"[{bar}] {share:4.0%} {self._describe(done)} of {self._describe(total)}"
