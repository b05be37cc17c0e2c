"""/v1/embeddings with OpenAI's client, and what it says without an embedder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from pyeino.components import EmbedderOptions
from pyeino.service import ServiceLimits
from pyeino.testing import HashingEmbedder

PATH = "/v1/embeddings"


class OddEmbedder:
    """Fails, hangs or gives too little, as told."""

    def __init__(self, what: Exception | asyncio.Event | list[list[float]]) -> None:
        self.what = what
        self.entered = asyncio.Event()
        self.cancelled = False

    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        self.entered.set()
        if isinstance(self.what, Exception):
            raise self.what
        if isinstance(self.what, asyncio.Event):
            try:
                await self.what.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
            return []
        return self.what


@asynccontextmanager
async def with_embedder(serve: Any, embedder: Any, **service: Any) -> AsyncIterator[Any]:
    options = {"embedder": embedder, "embedding_model": "hashing", **service}
    async with serve(service_options=options) as running:
        yield running


async def test_the_official_client_gets_the_vectors_of_the_embedder(serve: Any) -> None:
    embedder = HashingEmbedder(dimensions=32)
    async with with_embedder(serve, embedder) as running:
        expected = await embedder.embed(["one", "two words"])
        async with running.openai() as client:
            # The client asks for base64 unless told otherwise.
            for more in ({}, {"encoding_format": "float"}, {"dimensions": 32}):
                answer = await client.embeddings.create(
                    input=["one", "two words"], model="default", **more
                )
                assert answer.model == "hashing"
                assert [one.index for one in answer.data] == [0, 1]
                for one, vector in zip(answer.data, expected, strict=True):
                    assert one.embedding == pytest.approx(vector, abs=1e-6)
            single = await client.embeddings.create(input="one", model="hashing")
            assert single.data[0].embedding == pytest.approx(expected[0], abs=1e-6)


async def test_without_an_embedder_it_says_so(serve: Any) -> None:
    async with serve() as running, running.openai() as client:
        with pytest.raises(openai.NotFoundError) as refused:
            await client.embeddings.create(input="one", model="default")
        assert refused.value.code == "embeddings_not_configured"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"input": []}, 400, "input"),
        ({"input": [""]}, 400, "input[0]"),
        ({"input": ["x", 5]}, 400, "input[1]"),
        ({"input": [[1, 2]]}, 400, "input[0]"),
        ({"input": {"a": 1}}, 400, "input"),
        ({"input": ["x"] * 2049}, 400, "input"),
        ({"input": "x", "dimensions": 5}, 400, "dimensions"),
        ({"input": "x", "encoding_format": "binary"}, 400, "encoding_format"),
        ({"input": "x", "model": "nobody"}, 404, "model"),
        ({"model": "default"}, 400, "input"),
    ],
)
async def test_a_field_that_does_not_fit_is_named(
    serve: Any, body: dict[str, Any], status: int, param: str
) -> None:
    async with with_embedder(serve, HashingEmbedder(dimensions=32)) as running:
        answer = await running.http.post(PATH, json={"model": "default", **body})
        if "input" not in body:
            answer = await running.http.post(PATH, json=body)
        assert answer.status_code == status
        assert answer.json()["error"]["param"] == param


@pytest.mark.parametrize("what", [ValueError("secret"), [[1.0], [2.0]]])
async def test_an_embedder_that_fails_is_a_502(serve: Any, what: Any) -> None:
    async with with_embedder(serve, OddEmbedder(what)) as running:
        answer = await running.http.post(PATH, json={"model": "default", "input": "x"})
        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == "embedding_failed"
        assert "secret" not in answer.text
        assert running.logger.found("Embedding failed")


async def test_an_embedder_that_takes_too_long_is_a_504(serve: Any) -> None:
    embedder = OddEmbedder(asyncio.Event())
    async with with_embedder(serve, embedder, limits=ServiceLimits(timeout=0.2)) as running:
        answer = await running.http.post(PATH, json={"model": "default", "input": "x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "timeout")
        assert embedder.cancelled


async def test_a_client_that_leaves_cancels_the_embedding(serve: Any, eventually: Any) -> None:
    embedder = OddEmbedder(asyncio.Event())
    async with with_embedder(serve, embedder) as running:
        body = b'{"model": "default", "input": "x"}'
        head = (
            b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        async with running.raw(head + body):
            await embedder.entered.wait()
        await eventually(lambda: embedder.cancelled)
