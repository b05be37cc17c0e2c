"""The ids of the request that is being served, inherited by every task it starts."""

from __future__ import annotations

import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceParent:
    """A W3C `traceparent` header, taken apart. Ids are lower-case hex, 32 and 16 digits."""

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """Which request the running code works for; an id that is not known is ""."""

    request_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    sampled: bool = False

    def traceparent(self) -> str:
        """The `traceparent` header for a call to somebody else; "" outside a trace."""
        if not self.trace_id or not self.span_id:
            return ""
        return str(TraceParent(trace_id=self.trace_id, span_id=self.span_id, sampled=self.sampled))


_NOWHERE = RequestContext()
current_request: ContextVar[RequestContext] = ContextVar("pyeino_request", default=_NOWHERE)
"""Set by `bind_request` and by the spans of this room only; others read `request_context()`."""


def request_context() -> RequestContext:
    """The ids of the request that the calling code works for; empty ones outside of any."""
    return current_request.get()


def new_request_id() -> str:
    """A fresh request id: "req_" and 32 random hex digits."""
    return f"req_{secrets.token_hex(16)}"


def parse_traceparent(header: str | None) -> TraceParent | None:
    """Read a `traceparent` header (W3C Trace Context §3.2); None when it is absent or not valid.

    A header of a later version is read as far as version 00 defines it; version ff, all-zero ids
    and upper-case digits are not valid, and the caller goes on as if there had been no header.
    """
    match = _TRACEPARENT.fullmatch((header or "").strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest):
        return None
    if trace_id == "0" * 32 or span_id == "0" * 16:
        return None
    return TraceParent(trace_id=trace_id, span_id=span_id, sampled=bool(int(flags, 16) & 1))


@contextmanager
def bind_request(
    *, request_id: str | None = None, traceparent: str | None = None
) -> Generator[RequestContext]:
    """Work for one request inside the `with`: its ids stand on each log line and in each task.

    A `request_id` that is absent, longer than 128 characters or holds characters other than
    letters, digits and `._~:/+=@-` is replaced by a new one, so that a client cannot write into
    the logs. A valid `traceparent` gives the trace id; the span id is a new one, a child of it.
    """
    known = request_id is not None and _REQUEST_ID.fullmatch(request_id) is not None
    own_id = request_id if known and request_id is not None else new_request_id()
    parent = parse_traceparent(traceparent)
    context = RequestContext(
        request_id=own_id,
        trace_id=parent.trace_id if parent else "",
        span_id=secrets.token_hex(8) if parent else "",
        sampled=parent.sampled if parent else False,
    )
    token = current_request.set(context)
    try:
        yield context
    finally:
        # A generator that is closed from another task ends in another context: there the
        # variable was never set, so there is nothing to undo.
        try:
            current_request.reset(token)
        except ValueError:
            if current_request.get() is context:
                current_request.set(_NOWHERE)
