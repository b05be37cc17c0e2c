"""The WebSocket door with a real client over a real server: one terminal frame a request."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from socket_kit import SocketClient, socket_to, text_of
from websockets.exceptions import InvalidStatus

from pyeino.errors import ExternalError


async def last_row(running: Any, session_id: str = "s1") -> Any:
    page = await running.scope.messages.list(session_id, user_id="u1", newest_first=True)
    return page.items[0]


async def test_an_answer_comes_as_chunks_and_ends_with_done(serve: Any) -> None:
    async with serve("Hel", "lo ✓") as running, socket_to(running) as socket:
        await socket.ask("r1", session_id="s1")
        *chunks, end = await socket.until_end()
        assert text_of(chunks) == "Hello ✓"
        assert [one["seq"] for one in chunks] == list(range(len(chunks)))
        assert {one["request_id"] for one in chunks} == {"r1"}
        assert set(chunks[0]) == {"type", "request_id", "message_id", "seq", "delta"}
        assert chunks[-1]["finish_reason"] == "stop"
        assert {"token_usage", "metadata", "process_time"} <= set(chunks[-1])
        message_id = chunks[0]["message_id"]
        assert end == {"type": "done", "request_id": "r1", "message_id": message_id}
        row = await last_row(running)
        assert (row.id, row.content, str(row.status)) == (message_id, "Hello ✓", "completed")


async def test_the_same_answer_and_history_as_over_rest(serve: Any) -> None:
    async with serve("Hel", "lo") as running, socket_to(running) as socket:
        body = {"user_id": "u1", "session_id": "s1", "message": "Hello"}
        rest = (await running.http.post("/api/v1/chat", json=body)).json()
        await socket.ask(session_id="s1", options={"history": "session"})
        frames = await socket.until_end()
        assert text_of(frames) == rest["content"]
        last = frames[-2]
        for one in (rest["metadata"], last["metadata"]):
            one.pop("message_id", None)
        assert last["metadata"] == rest["metadata"]
        assert (
            last["token_usage"]["completion_tokens"] == (rest["token_usage"]["completion_tokens"])
        )
        asked = [message.content for message in running.model.calls[-1].messages]
        assert asked[-3:] == ["Hello", "Hello", "Hello"]  # the turn before, then the question
        rows = await running.scope.messages.list("s1", user_id="u1")
        assert [row.role for row in rows.items] == ["user", "assistant"] * 2


async def test_a_conversation_can_be_sent_whole(serve: Any) -> None:
    async with serve("ok") as running, socket_to(running) as socket:
        messages = [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}]
        await socket.send("multi_turn", request_id="m", user_id="u1", messages=messages)
        assert text_of(await socket.until_end()) == "ok"


async def test_requests_run_side_by_side_on_one_socket(serve: Any) -> None:
    gate = asyncio.Event()
    async with serve("a", gate, "b") as running, socket_to(running) as socket:
        for request_id in ("r1", "r2", "r3"):
            await socket.ask(request_id)
        await running.model.wait_for_calls(3)
        gate.set()
        ended: dict[str, str] = {}
        text: dict[str, str] = {}
        while len(ended) < 3:
            frame = await socket.next()
            one = frame["request_id"]
            assert one not in ended
            if frame["type"] == "chunk":
                text[one] = text.get(one, "") + frame["delta"]
            else:
                ended[one] = frame["type"]
        assert ended == dict.fromkeys(("r1", "r2", "r3"), "done")
        assert text == dict.fromkeys(("r1", "r2", "r3"), "ab")


async def test_cancel_stops_one_request_and_leaves_the_others(serve: Any) -> None:
    gate = asyncio.Event()
    async with serve("a", gate, "b") as running, socket_to(running) as socket:
        await socket.ask("r1", session_id="s1")
        assert (await socket.next())["delta"] == "a"
        await socket.ask("r2", session_id="s2")
        assert (await socket.next())["request_id"] == "r2"
        await socket.send("cancel", request_id="r1")
        end = await socket.next()
        assert (end["type"], end["request_id"]) == ("cancelled", "r1")
        row = await last_row(running)
        assert (row.id, str(row.status), row.content) == (end["message_id"], "cancelled", "a")
        gate.set()
        assert text_of(await socket.until_end()) == "b"
        assert running.metric("eino_requests_total", method="WS", status="499") == 1
        await socket.send("cancel", request_id="r1")  # over already: nothing happens
        await socket.send("ping")
        assert await socket.next() == {"type": "pong"}


async def test_cancel_before_the_first_chunk_is_one_terminal_frame(serve: Any) -> None:
    async with serve(asyncio.Event(), "a") as running, socket_to(running) as socket:
        await socket.ask("r1")
        await running.started()
        await socket.send("cancel", request_id="r1")
        assert await socket.next() == {"type": "cancelled", "request_id": "r1"}
        await running.idle()


async def test_a_client_that_is_gone_ends_its_requests(serve: Any) -> None:
    async with serve("a", asyncio.Event()) as running:
        async with socket_to(running) as socket:
            await socket.ask("r1", session_id="s1")
            await socket.next()
            await socket.ask("r2")
            await socket.next()
            socket.raw.transport.abort()
        await running.idle()
        assert str((await last_row(running)).status) == "cancelled"
        assert not [line for line in running.logger.lines if line[0] == "error"]


@pytest.mark.parametrize("begun", [True, False])
async def test_a_run_that_breaks_ends_with_one_error_frame(serve: Any, begun: bool) -> None:
    failure = ExternalError("MODEL_FAILED", "The model failed", cause=ValueError("secret"))
    steps = ("a", failure) if begun else (failure,)
    async with serve(*steps) as running, socket_to(running) as socket:
        await socket.ask("r1")
        *chunks, end = await socket.until_end()
        assert len(chunks) == (1 if begun else 0)
        assert end["type"] == "error"
        assert end["request_id"] == "r1"
        assert (end["status"], end["error"]["code"]) == (502, "MODEL_FAILED")
        assert "secret" not in json.dumps(end)
        assert running.metric("eino_request_errors_total", method="WS", error_type="external") == 1
        [served] = [one for one in running.logger.found("Request served") if one["status"] == 502]
        assert (served["method"], served["code"]) == ("WS", "MODEL_FAILED")


REFUSED: list[tuple[dict[str, Any] | str | bytes, str | None, str, str]] = [
    ("{oops", None, "INVALID_JSON", ""),
    ("", None, "INVALID_JSON", ""),
    ("[]", None, "INVALID_FIELD", ""),
    ({"type": "shout", "request_id": "r1"}, "r1", "INVALID_FIELD", ""),
    ({"type": "chat", "user_id": "u1", "message": "x"}, None, "INVALID_FIELD", "request_id"),
    ({"type": "chat", "request_id": "a b", "user_id": "u1", "message": "x"}, None,
     "INVALID_FIELD", "request_id"),
    ({"type": "chat", "request_id": "r1", "user_id": "u1"}, "r1", "INVALID_FIELD", "message"),
    ({"type": "chat", "request_id": "r1", "user_id": "u1", "message": "x", "odd": 1}, "r1",
     "INVALID_FIELD", "odd"),
    ({"type": "chat", "request_id": "r1", "user_id": "u1", "message": " "}, "r1",
     "INVALID_REQUEST", "message"),
    ({"type": "chat", "request_id": "r1", "user_id": "u1", "message": "x",
      "options": {"model": "nobody"}}, "r1", "MODEL_NOT_FOUND", "options.model"),
    ('{"type": "chat", "request_id": "r1", "user_id": "u1", "message": "x", "context": {"a": '
     + "[" * 100 + "]" * 100 + "}}", "r1", "INVALID_JSON", ""),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "about", "code", "field"), REFUSED)
async def test_a_frame_that_does_not_fit_is_an_error_and_the_socket_stays(
    serve: Any, frame: Any, about: str | None, code: str, field: str
) -> None:
    async with serve("ok") as running, socket_to(running) as socket:
        await socket.raw.send(frame if isinstance(frame, str) else json.dumps(frame))
        error = await socket.next()
        assert error["type"] == "error"
        assert error.get("request_id") == about
        assert error["error"]["code"] == code
        if field:
            assert error["error"]["metadata"]["field"] == field
        await socket.ask("r2")
        assert (await socket.until_end())[-1]["type"] == "done"


async def test_an_id_in_use_is_refused_without_ending_its_owner(serve: Any) -> None:
    gate = asyncio.Event()
    async with serve("a", gate, "b") as running, socket_to(running) as socket:
        await socket.ask("r1")
        await socket.next()
        await socket.ask("r1")
        error = await socket.next()
        assert (error["type"], error.get("request_id")) == ("error", None)
        assert error["error"]["code"] == "REQUEST_ID_TAKEN"
        assert error["error"]["metadata"]["found"] == "r1"
        await socket.raw.send('{"type": "chat", "request_id": "r1"}')
        assert "request_id" not in await socket.next()
        gate.set()
        assert text_of(await socket.until_end()) == "b"
        await socket.ask("r1")  # free again
        assert text_of(await socket.until_end()) == "ab"


async def test_one_socket_holds_so_many_requests(serve: Any) -> None:
    gate = asyncio.Event()
    async with serve("a", gate, socket_requests=2) as running, socket_to(running) as socket:
        for request_id in ("r1", "r2", "r3"):
            await socket.ask(request_id)
        busy = await socket.next()
        while busy["type"] == "chunk":
            busy = await socket.next()
        assert (busy["request_id"], busy["status"]) == ("r3", 429)
        assert busy["error"]["code"] == "SOCKET_BUSY"
        assert busy["error"]["metadata"]["retry_after"] == 1
        gate.set()
        ends = [(await socket.until_end())[-1]["type"] for _ in range(2)]
        assert ends == ["done", "done"]


async def test_requests_of_both_doors_count_together(serve: Any) -> None:
    gate = asyncio.Event()
    async with serve("a", gate, max_requests=1) as running, socket_to(running) as socket:
        await socket.ask("r1")
        await socket.next()
        answer = await running.http.post("/api/v1/chat", json={"user_id": "u1", "message": "Hello"})
        assert answer.status_code == 503
        await socket.ask("r2")
        busy = await socket.next()
        assert (busy["request_id"], busy["error"]["code"]) == ("r2", "SERVER_BUSY")
        gate.set()
        assert (await socket.until_end())[-1]["type"] == "done"


async def test_a_quiet_socket_is_closed_and_a_busy_one_is_not(serve: Any) -> None:
    gate = asyncio.Event()
    async with serve("a", gate, "b", idle_timeout=0.3) as running, socket_to(running) as socket:
        await socket.ask("r1")
        await socket.next()
        await asyncio.sleep(1.0)  # longer than idle_timeout, while an answer is on its way
        gate.set()
        assert text_of(await socket.until_end()) == "b"
        code, reason = await socket.closed()
        assert code == 1000
        assert "nothing came" in reason


async def test_frames_that_are_not_text_close_the_socket(serve: Any) -> None:
    async with serve() as running, socket_to(running) as socket:
        await socket.raw.send(b"\x00\x01")
        assert (await socket.closed())[0] == 1003


async def test_a_frame_that_is_too_large_closes_the_socket(serve: Any) -> None:
    async with serve(max_body_bytes=2_000) as running, socket_to(running) as socket:
        await socket.ask("r1", message="x" * 3_000)
        assert (await socket.closed())[0] == 1009
        await running.idle()


async def test_the_server_pings_and_leaves_who_does_not_answer(serve: Any) -> None:
    head = (
        b"GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    async with (
        serve("a", asyncio.Event(), heartbeat=0.1, write_timeout=0.3) as running,
        running.raw(head) as client,
    ):
        await client.until(b"\r\n\r\n")
        ask = json.dumps(
            {"type": "chat", "request_id": "r", "user_id": "u1", "message": "x"}
        ).encode()
        client.writer.write(bytes([0x81, 0x80 | len(ask)]) + b"\0\0\0\0" + ask)
        await running.started()
        rest = await client.rest()
        assert b"\x89\x04" in rest  # a ping
        assert b"keepalive ping timeout" in rest  # and the close, 1011
        await running.idle()


async def test_a_client_that_stops_reading_is_cut_and_its_run_ended(serve: Any) -> None:
    flood = ["x" * 20_000] * 2_000
    async with (
        serve(*flood, write_timeout=0.3) as running,
        socket_to(running, max_queue=1) as socket,
    ):
        await socket.ask("r1", session_id="s1")
        await socket.next()
        socket.raw.transport.pause_reading()
        await running.idle()
        assert str((await last_row(running)).status) == "cancelled"
        socket.raw.transport.abort()


async def test_stopping_ends_each_request_with_an_error_and_then_the_socket(serve: Any) -> None:
    async with serve("a", asyncio.Event()) as running:
        async with socket_to(running) as busy, socket_to(running) as quiet:
            for request_id in ("r1", "r2"):
                await busy.ask(request_id)
                await busy.next()
            running.stop()
            ends = {one["request_id"]: one for one in [await busy.next(), await busy.next()]}
            assert set(ends) == {"r1", "r2"}
            assert {one["error"]["code"] for one in ends.values()} == {"SERVER_STOPPED"}
            assert (await busy.closed())[0] == 1012
            assert (await quiet.closed())[0] == 1012
        assert await running.task == 0


async def test_while_draining_new_requests_are_refused(serve: Any) -> None:
    async with serve("a") as running, socket_to(running) as socket:
        await running.service.drain()
        await socket.ask("r1")
        end = await socket.next()
        assert (end["type"], end["error"]["code"]) == ("error", "SERVER_DRAINING")


async def test_a_plain_request_is_told_to_upgrade(serve: Any) -> None:
    async with serve() as running:
        answer = await running.http.get("/api/v1/ws")
        assert answer.status_code == 426
        assert answer.json()["error"]["code"] == "UPGRADE_REQUIRED"


async def test_a_socket_at_another_path_is_a_404(serve: Any) -> None:
    async with serve() as running:
        url = running.url.replace("http", "ws", 1) + "/api/v1/nothing"
        from websockets.asyncio.client import connect

        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, proxy=None):
                pass
        assert refused.value.response.status_code == 404


async def test_a_foreign_origin_is_refused_and_the_own_one_is_not(serve: Any) -> None:
    async with serve("ok") as running:
        with pytest.raises(InvalidStatus) as refused:
            async with socket_to(running, origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403
        async with socket_to(running, origin=running.url) as socket:
            await socket.ask()
            assert (await socket.until_end())[-1]["type"] == "done"


async def test_the_id_of_a_request_is_the_one_of_its_log_line(serve: Any) -> None:
    async with serve("ok") as running, socket_to(running) as socket:
        await socket.ask("my-request")
        await socket.until_end()
        [line] = running.logger.found("Chat completed")
        assert line["request_id"] == "my-request"


async def _flood(socket: SocketClient, count: int) -> None:
    for index in range(count):
        await socket.ask(f"r{index}")


async def test_every_request_of_a_flood_gets_one_terminal_frame(serve: Any) -> None:
    async with serve("a", "b", socket_requests=3) as running, socket_to(running) as socket:
        asking = asyncio.create_task(_flood(socket, 200))
        ends: list[str] = []
        while len(ends) < 200:
            frame = await socket.next()
            if frame["type"] != "chunk":
                ends.append(frame["request_id"])
        await asking
        assert sorted(ends) == sorted(f"r{index}" for index in range(200))
        await running.idle()
