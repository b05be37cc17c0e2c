"""A collector for tests: takes OTLP/HTTP, decodes the protobuf, keeps what it was sent.

No collector can be installed from the package registries, so this stands for one: it speaks the
real protocol over a real socket and decodes with the protocol's own message classes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """One span as it came over the wire."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    status: int
    message: str
    attributes: dict[str, Any]
    events: dict[str, dict[str, Any]]
    resource: dict[str, Any]
    scope: str
    start: int
    end: int


@dataclass(slots=True)
class Collector:
    """Where the collector is, and what came; `refuse` makes it answer that status."""

    port: int = 0
    refuse: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spans(self) -> list[ReceivedSpan]:
        """All spans so far, in the order in which they ended."""
        return [span for body in list(self.bodies) for span in _decode(body)]

    def wait_for(self, name: str, *, count: int = 1) -> list[ReceivedSpan]:
        """Block until `count` spans called `name` have come; those."""
        until = time.monotonic() + WAIT_SECONDS
        while True:
            found = [span for span in self.spans() if span.name == name]
            if len(found) >= count:
                return found
            if time.monotonic() > until:
                known = sorted({span.name for span in self.spans()})
                raise AssertionError(f"{len(found)} of {count} spans {name!r}; there are {known}")
            time.sleep(0.02)


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port, in threads of its own."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.paths.append(self.path)
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            if not found.refuse:
                found.bodies.append(body)
            self.send_response(found.refuse or 200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _decode(body: bytes) -> Iterator[ReceivedSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        about = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    kind=span.kind,
                    status=span.status.code,
                    message=span.status.message,
                    attributes=_attributes(span.attributes),
                    events={event.name: _attributes(event.attributes) for event in span.events},
                    resource=about,
                    scope=scope.scope.name,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)
