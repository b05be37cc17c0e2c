"""A model provider that repeats what it was told, in answers and errors: the worst there is."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REFUSE = "REFUSE-THIS"
BREAK = "BREAK-THIS"
CALCULATE = "271828 + 1"
DIMENSION = 8


@dataclass(slots=True)
class Provider:
    """Where the provider is, and the headers of each call by path."""

    port: int = 0
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def traceparents(self, path: str) -> list[str]:
        """The `traceparent` of each call to `path`."""
        return [headers.get("traceparent", "") for at, headers in self.calls if at.endswith(path)]


@contextmanager
def echo_provider() -> Iterator[Provider]:
    """The provider on a free port, in threads of its own."""
    found = Provider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.calls.append((self.path, headers))
            said = json.dumps(body, ensure_ascii=False)
            if REFUSE in said:
                self._reply(400, {"error": {"message": f"cannot take {said}", "code": "odd"}})
            elif BREAK in said:
                self._reply(500, {"error": {"message": f"stumbled over {said}"}})
            elif self.path.endswith("/embeddings"):
                self._reply(200, _embeddings(body))
            elif body.get("stream"):
                self._stream(body)
            else:
                self._reply(200, _completion(body))

        def _reply(self, status: int, answer: Any) -> None:
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, body: Any) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            for event in _events(body):
                self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

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


USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 6,
    "total_tokens": 26,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def _wants_tool(body: Any) -> bool:
    return bool(body.get("tools")) and body["messages"][-1]["role"] != "tool"


def _tool_call() -> dict[str, Any]:
    arguments = json.dumps({"expression": CALCULATE})
    function = {"name": "calculator", "arguments": arguments}
    return {"index": 0, "id": "call_1", "type": "function", "function": function}


def _completion(body: Any) -> dict[str, Any]:
    calls = _wants_tool(body)
    message: dict[str, Any] = {"role": "assistant", "content": f"You said: {_last(body)}"}
    if calls:
        message = {"role": "assistant", "content": "", "tool_calls": [_tool_call()]}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": "tool_calls" if calls else "stop",
    }
    return {"id": "c1", "model": "echo-1", "choices": [choice], "usage": USAGE}


def _events(body: Any) -> Iterator[dict[str, Any]]:
    head = {"id": "c1", "model": "echo-1"}
    if _wants_tool(body):
        deltas: list[dict[str, Any]] = [{"role": "assistant", "tool_calls": [_tool_call()]}]
        reason = "tool_calls"
    else:
        words = f"You said: {_last(body)}".split(" ")
        deltas, reason = [{"role": "assistant", "content": f"{word} "} for word in words], "stop"
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    yield {**head, "choices": [], "usage": USAGE}


def _last(body: Any) -> str:
    return str(body["messages"][-1]["content"])


def _embeddings(body: Any) -> dict[str, Any]:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    rows = [
        {"index": index, "embedding": _vector(text), "object": "embedding"}
        for index, text in enumerate(texts)
    ]
    return {"object": "list", "model": "echo-embedding", "data": rows, "usage": USAGE}


def _vector(text: str) -> list[float]:
    digest = hashlib.sha256(text.encode()).digest()[:DIMENSION]
    length = sum(byte * byte for byte in digest) ** 0.5
    return [byte / length for byte in digest]
