"""OpenAIEmbedder: one vector a text, in order, whatever the provider does."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from provider_kit import Upstream, whole

from pyeino.components import Embedder, EmbedderOptions
from pyeino.errors import AppError, DeclarationError, ExternalError, RateLimitError, ValidationError
from pyeino.integrations.openai import Endpoint, OpenAIEmbedder


def rows(*pairs: tuple[int | None, list[Any]]) -> dict[str, Any]:
    return {"data": [{"index": index, "embedding": vector} for index, vector in pairs]}


async def test_batches_in_order(upstream: Upstream, endpoint: Endpoint) -> None:
    async def lengths(request: web.Request) -> web.StreamResponse:
        texts = (await request.json())["input"]
        data = [{"index": place, "embedding": [len(text), 1]} for place, text in enumerate(texts)]
        return web.json_response({"data": data[::-1], "usage": {"prompt_tokens": 1}})

    upstream.answers(lengths)
    embedder = OpenAIEmbedder("e-1", endpoint=endpoint, batch_size=2, dimension=2)
    assert isinstance(embedder, Embedder)
    assert await embedder.embed([]) == []
    assert not upstream.seen
    assert await embedder.embed(["a", "bb", "ccc"]) == [[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]
    assert [one.body["input"] for one in upstream.seen] == [["a", "bb"], ["ccc"]]
    assert upstream.seen[0].path == "/v1/embeddings"
    assert upstream.seen[0].body == {
        "model": "e-1",
        "input": ["a", "bb"],
        "encoding_format": "float",
        "dimensions": 2,
    }
    await embedder.embed(["a"], options=EmbedderOptions(model="e-2"))
    assert upstream.seen[-1].body["model"] == "e-2"


async def test_rows_without_an_index_count_as_they_come(
    upstream: Upstream, endpoint: Endpoint
) -> None:
    upstream.answers(whole(rows((None, [1]), (None, [2]))))
    assert await OpenAIEmbedder("e-1", endpoint=endpoint).embed(["a", "b"]) == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        {"data": None},
        {"data": "x"},
        rows((0, [1])),
        rows((0, [1]), (0, [2])),
        rows((0, [1]), (1, [2]), (2, [3])),
        rows((0, [1]), (2, [2])),
        rows((0, [1]), (1, [1, 2])),
        rows((0, []), (1, [])),
        rows((0, [1]), (1, [None])),
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [NaN]}]}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body)[:40],
)
async def test_an_answer_that_does_not_fit(
    upstream: Upstream, endpoint: Endpoint, body: object
) -> None:
    upstream.answers(whole(body))
    with pytest.raises(ExternalError) as caught:
        await OpenAIEmbedder("e-1", endpoint=endpoint).embed(["a", "b"])
    assert caught.value.code == "MODEL_FAILED"
    assert len(upstream.seen) == 1


async def test_errors_of_the_provider(upstream: Upstream, endpoint: Endpoint) -> None:
    embedder = OpenAIEmbedder("e-1", endpoint=endpoint)
    upstream.answers(whole({}, status=503), whole(rows((0, [1]))))
    assert await embedder.embed(["a"]) == [[1.0]]
    upstream.answers(whole({"error": {"code": 429}}))
    with pytest.raises(RateLimitError):
        await embedder.embed(["a"])
    upstream.answers(whole({}, status=404))
    with pytest.raises(AppError, match="'e-1'"):
        await embedder.embed(["a"])
    with pytest.raises(ValidationError, match="surrogate"):
        await embedder.embed(["\ud800"])


def test_an_empty_batch_is_refused(endpoint: Endpoint) -> None:
    with pytest.raises(DeclarationError, match="batch_size"):
        OpenAIEmbedder("e-1", endpoint=endpoint, batch_size=0)
