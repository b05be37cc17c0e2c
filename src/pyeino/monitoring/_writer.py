"""One thread that writes log lines, so that a slow sink never blocks who logs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

DropReport = Callable[[int], str]


class LineWriter:
    """A bounded queue of lines in front of a sink, emptied by a thread of its own.

    `put` never waits: with `capacity` lines queued, the next one is dropped and counted, and the
    number is written as a line of its own (made by `report`) as soon as there is room. The sink
    is not closed; who opened it closes it.
    """

    def __init__(self, sink: TextIO, *, capacity: int, report: DropReport) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, found {capacity}")
        self._sink = sink
        self._capacity = capacity
        self._report = report
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._writing = False
        self._closed = False
        self._unreported = 0
        self.dropped = 0

    def put(self, line: str) -> None:
        """Queue `line` (with its line end), or drop and count it."""
        with self._changed:
            if self._closed or len(self._lines) >= self._capacity:
                self.dropped += 1
                self._unreported += 1
                return
            self._lines.append(line)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="pyeino-log-writer", daemon=True
                )
                self._thread.start()
            elif not self._writing:
                self._changed.notify_all()

    @property
    def queued(self) -> int:
        """Lines that wait to be written."""
        return len(self._lines)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was queued is written; False when `timeout` seconds did not do."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is queued and end the thread; later lines are dropped. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _is_idle(self) -> bool:
        return not self._lines and not self._writing

    def _take(self) -> str | None:
        """All that is queued as one text, and the report of drops; None when it is time to end."""
        with self._changed:
            self._writing = False
            if not self._lines:
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._lines or self._closed)
            if not self._lines:
                return None
            self._writing = True
            text = "".join(self._lines)
            self._lines.clear()
            lost, self._unreported = self._unreported, 0
        return text + self._report(lost) if lost else text

    def _run(self) -> None:
        while (text := self._take()) is not None:
            try:
                self._sink.write(text)
                self._sink.flush()
            except (OSError, ValueError):  # a full disk, a closed pipe or a closed file
                with self._changed:
                    lost = text.count("\n")
                    self.dropped += lost
                    self._unreported += lost
                time.sleep(0.05)  # a sink that fails at once must not turn this into a busy loop
