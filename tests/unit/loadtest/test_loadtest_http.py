"""AiohttpClient against a real server: what is sent, and what each way to answer becomes."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from loadtest_kit import serving

from pyeino.loadtest import (
    AiohttpClient,
    LoadReply,
    LoadRequest,
    LoadTestConfig,
    LoadTestConfigError,
    run_load_test,
)

BODIES = ('{"n": {{n}}}',)
REQUEST = LoadRequest(number=0, worker=0, body=b'{"n": 0}')


async def reply_of(path: str, **given: float) -> LoadReply:
    async with serving() as server:
        declared = LoadTestConfig(target=server.url + path, bodies=BODIES, **given)  # type: ignore[arg-type]
        async with asyncio.timeout(30), AiohttpClient(declared) as client:
            return await client.do(REQUEST)


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/ok", 200, ""),
        ("/429", 429, "http_429 RATE_LIMIT_EXCEEDED"),
        ("/500", 500, "http_500"),
        ("/away", 302, "http_302"),
        ("/drop", None, "disconnected"),
        ("/half", 200, "disconnected"),
        ("/garbage", None, "bad_response"),
        ("/broken", 200, "stream_broken"),
        ("/failed", 200, "stream_error"),
        ("/cancelled", 200, "stream_cancelled"),
        ("/openai-failed", 200, "stream_error"),
        ("/no-stream", 200, "bad_response"),
    ],
)
async def test_g155_the_answer_is_looked_at(path: str, status: int | None, error: str) -> None:
    reply = await reply_of(path)
    assert (reply.status, reply.error) == (status, error)


async def test_g155_a_silence_is_a_timeout_and_nobody_there_is_connect() -> None:
    assert (await reply_of("/silent", timeout=0.1)).error == "timeout"
    async with serving() as server:
        target = server.url
    async with AiohttpClient(LoadTestConfig(target=target)) as client:
        assert (await client.do(REQUEST)).error == "connect"


@pytest.mark.parametrize(("path", "chunks"), [("/native", 2), ("/openai", 2), ("/foreign", 2)])
async def test_chunks_of_a_stream_are_those_with_text(path: str, chunks: int) -> None:
    before = time.perf_counter_ns()
    reply = await reply_of(path)
    assert reply.error == ""
    assert reply.chunks is not None
    assert len(reply.chunks) == chunks
    assert all(before < moment < time.perf_counter_ns() for moment in reply.chunks)


async def test_g155_the_target_is_asked_and_connections_are_kept() -> None:
    async with serving() as server:
        declared = LoadTestConfig(
            target=server.url + "/there",
            bodies=BODIES,
            concurrency=3,
            duration=0.3,
            api_key="key-1",
            headers={"X-Team": "blue"},
        )
        async with asyncio.timeout(30):
            result = await run_load_test(declared)
        assert result.failed_requests == 0
        assert server.asked == {"/there": result.total_requests}
        assert server.connections == 3
        head = server.heads[0].lower()
        assert "authorization: bearer key-1" in head
        assert "x-team: blue" in head
        assert "content-type: application/json" in head
        assert "cookie" not in head
        numbers = [json.loads(body)["n"] for body in server.bodies]
        assert sorted(numbers) == list(range(result.total_requests))


async def test_the_key_is_in_no_report() -> None:
    async with serving() as server:
        declared = LoadTestConfig(target=server.url, duration=0.05, api_key="key-1")
        result = await run_load_test(declared)
    assert b"key-1" not in result.to_json()


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await reply_of("/ok")).status == 200


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await AiohttpClient(LoadTestConfig(target="http://127.0.0.1:1")).do(REQUEST)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody but its file vouches for, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt install openssl")
    folder = tmp_path_factory.mktemp("tls")
    found = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", str(found[0]), "-keyout", str(found[1])),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return found


@pytest.mark.parametrize(("trust", "error"), [("file", ""), ("nobody", "tls"), ("all", "")])
async def test_https_trusts_what_it_is_told_to(
    certificate: tuple[Path, Path], trust: str, error: str
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    async with serving(context) as server:
        declared = LoadTestConfig(
            target=f"HTTPS://127.0.0.1:{server.port}/x",
            bodies=BODIES,
            ca_file=certificate[0] if trust == "file" else None,
            verify=trust != "all",
        )
        async with asyncio.timeout(30), AiohttpClient(declared) as client:
            assert (await client.do(REQUEST)).error == error


async def test_certificates_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    declared = LoadTestConfig(target="https://127.0.0.1:1", ca_file=tmp_path / "none.pem")
    with pytest.raises(LoadTestConfigError, match=r"none\.pem"):
        async with AiohttpClient(declared):
            pass
