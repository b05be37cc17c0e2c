"""What a load test needs of a client: one request in, one reply out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """One request: which of the test it is, from 0, the worker that sends it, and its body."""

    number: int
    worker: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReply:
    """How one request ended.

    status: the HTTP status; None when there was no answer.
    error: "" when all is well, else a short stable word of what went wrong (`http_429`,
        `timeout`, `connect`, `disconnected`, `tls`, `stream_error`, `stream_broken`).
    chunks: when each chunk of a stream with text in it arrived, in nanoseconds of
        `time.perf_counter_ns`; None for an answer in one piece.
    """

    status: int | None = None
    error: str = ""
    chunks: Sequence[int] | None = None


class HTTPClient(Protocol):
    """Sends requests for a load test. `do` is called by many workers at once.

    A failure is a reply with an `error`. An exception is counted as one under its class name.
    """

    async def do(self, request: LoadRequest) -> LoadReply:
        """Send one request and wait for the whole answer. A cancel gives it up at once."""
        ...
