"""Handler: who is told when a component starts, ends, fails or streams."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from pyeino.callbacks._trace_info import TraceInfo
from pyeino.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What is running: its `name` in a graph, its implementation `type`, its `component` kind.

    `trace` is what the component says of itself; None when it says nothing.
    """

    name: str
    type: str
    component: str
    trace: TraceInfo | None = None


class Handler:
    """Override the moments you care about; the others cost nothing.

    Each call of a component is told by its native shape: a value going in is `on_start`, a stream
    going in is `on_start_with_stream_input`; a value coming out is `on_end`, a stream coming out
    is `on_end_with_stream_output`. What a start moment returns is handed to the end moment of the
    same call. A handler must not change what it is shown. A handler that raises ends the run.
    A call ends with one of `on_end`, `on_end_with_stream_output`, `on_error` and `on_cancel`.

    `on_end_with_stream_output` is shown the stream's own copy and has to close it; it runs as a
    task of the run, so it may simply read to the end. An error inside the stream reaches it as
    the exception of that read, and is not told to `on_error` again.
    """

    def on_start(self, info: RunInfo, input: Any) -> Any:
        """A component was called with a value."""

    def on_start_with_stream_input(self, info: RunInfo) -> Any:
        """A component was called with a stream."""

    def on_end(self, info: RunInfo, output: Any, token: Any) -> None:
        """A component answered with a value."""

    async def on_end_with_stream_output(
        self, info: RunInfo, stream: Stream[Any], token: Any
    ) -> None:
        """A component answered with a stream; `stream` is this handler's own copy."""
        await stream.aclose()

    def on_error(self, info: RunInfo, error: Exception, token: Any) -> None:
        """A component failed before it answered."""

    def on_cancel(self, info: RunInfo, token: Any) -> None:
        """A component was cancelled before it answered: nobody waits for it any more."""

    def scope(self, token: Any) -> AbstractContextManager[Any] | None:
        """What is entered while the call's own work runs, such as the current span; None: nothing.

        Asked anew around the call, and around each read and the close of a stream that came out
        of it, because every one of them may happen in another task.
        """
        return None
