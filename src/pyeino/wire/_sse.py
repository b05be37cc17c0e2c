"""Server-sent events: frames to bytes, and bytes back to events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import re

import msgspec

from pyeino.errors import PyeinoError

MAX_EVENT_BYTES = 16 * 1024 * 1024

HEARTBEAT = b": ping\n\n"
"""A comment that keeps proxies and clients from taking a quiet stream for a dead one."""

_LINE_END = re.compile(rb"\r\n|\r|\n")


class SSEError(PyeinoError, ValueError):
    """A frame that cannot be written, or bytes that are no event stream we accept."""

    default_code = "SSE_ERROR"


class SSEEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event as a reader sees it; `id` is the last id that the stream named, "" before any."""

    data: str
    event: str = "message"
    id: str = ""


def encode_event(
    data: str | bytes,
    *,
    event: str | None = None,
    id: int | str | None = None,
    retry: int | None = None,
) -> bytes:
    """One frame; every line of `data` becomes a `data:` line of its own.

    `retry` is in milliseconds. Raises SSEError when `event` or `id` holds a line end, or `id` NUL.
    """
    raw = data.encode() if isinstance(data, str) else data
    parts: list[bytes] = []
    if retry is not None:
        parts.append(b"retry: %d\n" % retry)
    if id is not None:
        parts.append(_field(b"id", str(id)))
    if event is not None:
        parts.append(_field(b"event", event))
    if b"\n" in raw or b"\r" in raw:
        parts.extend(b"data: " + line + b"\n" for line in _LINE_END.split(raw))
    else:
        parts.append(b"data: " + raw + b"\n")
    parts.append(b"\n")
    return b"".join(parts)


def encode_comment(text: str = "") -> bytes:
    """A comment frame, which readers skip."""
    lines = _LINE_END.split(text.encode())
    return b"".join(b": " + line + b"\n" for line in lines) + b"\n"


def _field(name: bytes, value: str) -> bytes:
    if "\n" in value or "\r" in value or "\0" in value:
        raise SSEError(
            f"an SSE {name.decode()} cannot hold a line end or NUL",
            found=repr(value),
            remedy="send it inside the data",
        )
    return name + b": " + value.encode() + b"\n"


class SSEDecoder:
    """Bytes in, events out, wherever the bytes are cut.

    `feed` takes what arrived and returns the events that are complete. An event still open at the
    end of the stream is dropped, as the standard says. `retry` holds the last reconnection time
    named, in milliseconds. An event larger than `max_event_bytes` raises SSEError.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.retry: int | None = None
        self.last_event_id = ""
        self._max = max_event_bytes
        self._buffer = bytearray()
        self._scanned = 0
        self._at_start = True
        self._skip_newline = False
        self._data: list[str] = []
        self._data_bytes = 0
        self._event = ""

    def feed(self, chunk: bytes) -> list[SSEEvent]:
        """The events that `chunk` completes, in order."""
        self._buffer += chunk
        events: list[SSEEvent] = []
        if self._at_start and not self._strip_bom():
            return events
        while (line := self._next_line()) is not None:
            event = self._take(line)
            if event is not None:
                events.append(event)
        if len(self._buffer) > self._max:
            raise self._too_large()
        return events

    def _strip_bom(self) -> bool:
        mark = b"\xef\xbb\xbf"
        if len(self._buffer) < len(mark) and mark.startswith(bytes(self._buffer)):
            return False
        if self._buffer.startswith(mark):
            del self._buffer[: len(mark)]
        self._at_start = False
        return True

    def _next_line(self) -> bytes | None:
        if self._skip_newline and self._buffer:
            self._skip_newline = False
            if self._buffer[0] == 0x0A:
                del self._buffer[:1]
        found = _LINE_END.search(self._buffer, self._scanned)
        if found is None:
            self._scanned = len(self._buffer)
            return None
        start, end = found.span()
        self._skip_newline = end == len(self._buffer) and self._buffer[start] == 0x0D
        self._skip_newline = self._skip_newline and end - start == 1
        line = bytes(self._buffer[:start])
        del self._buffer[:end]
        self._scanned = 0
        return line

    def _take(self, line: bytes) -> SSEEvent | None:
        if not line:
            return self._dispatch()
        name, _, raw = line.partition(b":")
        value = raw[1:] if raw.startswith(b" ") else raw
        text = value.decode("utf-8", errors="replace")
        if name == b"data":
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._max:
                raise self._too_large()
            self._data.append(text)
        elif name == b"event":
            self._event = text
        elif name == b"id" and "\0" not in text:
            self.last_event_id = text
        elif name == b"retry" and value.isdigit():
            self.retry = int(value)
        return None

    def _dispatch(self) -> SSEEvent | None:
        data, event = self._data, self._event
        self._data, self._data_bytes, self._event = [], 0, ""
        if not data:
            return None
        return SSEEvent(data="\n".join(data), event=event or "message", id=self.last_event_id)

    def _too_large(self) -> SSEError:
        return SSEError(
            "an event of the stream is larger than this reader takes",
            expected=f"at most {self._max} bytes",
            remedy="raise max_event_bytes",
        )
