"""The local embedder on its real weights, and its tokenizer against the reference one."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyeino.components import Embedder, EmbedderOptions
from pyeino.errors import (
    DeclarationError,
    ExternalError,
    InternalError,
    ParseError,
    RateLimitError,
    ValidationError,
)
from pyeino.integrations.onnx import MiniLMEmbedder, WordPiece, load_tokenizer

# Made by tokenizers 0.23.3: BertWordPieceTokenizer(vocab.txt, lowercase=True).encode(text).ids
_REFERENCE = [
    json.loads(line)
    for line in (Path(__file__).parent / "tokens.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture
async def embedder() -> AsyncIterator[MiniLMEmbedder]:
    async with MiniLMEmbedder() as one:
        yield one


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_the_tokenizer_gives_the_ids_of_the_reference() -> None:
    tokenizer = load_tokenizer()
    wrong = [
        row["text"]
        for row in _REFERENCE
        if tokenizer.encode(row["text"], limit=10_000) != row["ids"]
    ]
    assert len(_REFERENCE) > 150
    assert wrong == []


def test_names_of_special_tokens_in_a_text_are_text() -> None:
    tokenizer = load_tokenizer()
    ids = tokenizer.encode("end [SEP] here", limit=100)
    assert ids.count(tokenizer.end) == 1
    assert ids[-1] == tokenizer.end


def test_long_texts_are_cut_and_counted_whole() -> None:
    tokenizer = load_tokenizer()
    ids = tokenizer.encode("word " * 1000, limit=256)
    assert len(ids) == 256
    assert (ids[0], ids[-1]) == (tokenizer.start, tokenizer.end)
    assert tokenizer.count("word " * 1000) == 1000


def test_a_file_that_is_no_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("a\nb\n")
    with pytest.raises(ParseError, match="no BERT vocabulary"):
        WordPiece.from_file(tmp_path / "v.txt")


async def test_it_is_an_embedder_whose_vectors_mean_something(embedder: MiniLMEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    question, near, far = await embedder.embed(
        ["How do I cook pasta?", "The way to prepare spaghetti", "Lattice quantum field theory"]
    )
    assert len(question) == embedder.dimension == 384
    assert math.isclose(_dot(question, question), 1, abs_tol=1e-5)
    assert _dot(question, near) > 0.5 > 0.25 > _dot(question, far)
    assert await embedder.embed([]) == []


async def test_a_vector_does_not_depend_on_its_company(embedder: MiniLMEmbedder) -> None:
    texts = ["short", "a much longer text " * 30, "another one"]
    together = await embedder.embed(texts)
    alone = [(await embedder.embed([text]))[0] for text in texts]
    assert together == alone
    beyond = await embedder.embed([f"{'word ' * 300} ignored", f"{'word ' * 300} left out"])
    assert beyond[0] == beyond[1]


async def test_the_loop_goes_on_while_it_works(embedder: MiniLMEmbedder) -> None:
    await embedder.warm_up()
    call = asyncio.create_task(embedder.embed(["text " * 250] * 8))
    turns = 0
    async with asyncio.timeout(60):
        while not call.done():
            await asyncio.sleep(0)
            turns += 1
    assert turns > 50
    assert len(await call) == 8


async def test_calls_beyond_the_queue_are_refused() -> None:
    async with MiniLMEmbedder(max_queue=2) as embedder:
        calls = [asyncio.create_task(embedder.embed(["x"])) for _ in range(5)]
        found = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in found if isinstance(one, RateLimitError)]
    assert len(refused) == 3
    assert refused[0].code == "QUEUE_FULL"
    assert embedder.queue_length == 0


async def test_a_cancelled_call_frees_its_place() -> None:
    async with MiniLMEmbedder(max_queue=1) as embedder:
        call = asyncio.create_task(embedder.embed(["x" * 100] * 100))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(await embedder.embed(["y"])) == 1


async def test_closing_ends_the_thread_and_refuses_calls() -> None:
    embedder = MiniLMEmbedder()
    await embedder.embed(["x"])
    await embedder.aclose()
    await embedder.aclose()
    assert not [one for one in threading.enumerate() if one.name.startswith("pyeino-embedder")]
    with pytest.raises(InternalError, match="EMBEDDER_CLOSED"):
        await embedder.embed(["x"])


async def test_what_cannot_be_embedded_is_refused(embedder: MiniLMEmbedder) -> None:
    with pytest.raises(ValidationError, match="INVALID_OPTION"):
        await embedder.embed(["x"], options=EmbedderOptions(model="another"))
    for texts in (["x" * 1_048_577], ["x"] * 10_001):
        with pytest.raises(ValidationError, match="TEXT_TOO_LARGE"):
            await embedder.embed(texts)
    with pytest.raises(DeclarationError, match="threads"):
        MiniLMEmbedder(threads=0)


async def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyeino.integrations.onnx._engine._WEIGHTS_SHA256", "0" * 64)
    async with MiniLMEmbedder() as embedder:
        with pytest.raises(ExternalError, match="EMBEDDER_LOAD_FAILED"):
            await embedder.warm_up()
