"""MiniLMEmbedder: sentence embeddings on the CPU, off the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from pyeino.callbacks import TraceInfo
from pyeino.components import EmbedderOptions
from pyeino.errors import DeclarationError, InternalError, RateLimitError, ValidationError
from pyeino.integrations.onnx._engine import DIMENSION, MAX_TOKENS, MODEL, Engine, OnnxEngine
from pyeino.monitoring import model_trace_info

MAX_TEXT_CHARACTERS: Final = 1024 * 1024
MAX_TEXTS: Final = 10_000


class MiniLMEmbedder:
    """all-MiniLM-L6-v2 (int8) through onnxruntime: vectors of 384 numbers and length 1.

    Only the first 256 tokens of a text count. The weights (23 MB, from the extra `local`) are
    loaded at the first call or by `warm_up`, in a thread of the embedder's own, where all calls
    run: `threads` (default: one less than the cores) work on a text, `batch_size` texts are done
    before another call has its turn, and at most `max_queue` calls wait, one more is refused with
    QUEUE_FULL (429). Close it with `async with` or `aclose()`.
    """

    model: Final = MODEL
    dimension: Final = DIMENSION
    max_tokens: Final = MAX_TOKENS

    def __init__(
        self, *, threads: int | None = None, batch_size: int = 8, max_queue: int = 256
    ) -> None:
        threads = max(1, (os.cpu_count() or 2) - 1) if threads is None else threads
        for name, value in (
            ("threads", threads),
            ("batch_size", batch_size),
            ("max_queue", max_queue),
        ):
            if value < 1:
                raise DeclarationError(
                    f"{name} is out of range", expected="at least 1", found=str(value)
                )
        self._make_engine: Callable[[], Engine] = lambda: OnnxEngine(threads=threads)
        self._engine: Engine | None = None
        self._batch_size = batch_size
        self._max_queue = max_queue
        self._calls = 0
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pyeino-embedder")

    def get_trace_info(self) -> TraceInfo:
        """Provider and model, for traces and metrics."""
        return model_trace_info(kind="Embedder", name=MODEL, provider="local")

    @property
    def queue_length(self) -> int:
        """How many calls wait or run; for a gauge."""
        return self._calls

    async def warm_up(self) -> None:
        """Load the weights now; MissingDependencyError when the extra is not installed."""
        await self._run([])

    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        """One vector for each text, in order; a text without a word has one, too.

        Raises ValidationError INVALID_OPTION for another model than this one, and TEXT_TOO_LARGE
        for a text of more than 1,048,576 characters or more than 10,000 texts.
        """
        _check(texts, options)
        vectors: list[list[float]] = []
        for start in range(0, len(texts), self._batch_size):
            vectors.extend(await self._run(list(texts[start : start + self._batch_size])))
        return vectors

    async def aclose(self) -> None:
        """Refuse new calls, finish the running batch, end the thread; idempotent."""
        self._closed = True
        await asyncio.to_thread(self._thread.shutdown)
        self._engine = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _run(self, texts: list[str]) -> list[list[float]]:
        if self._closed:
            raise InternalError("EMBEDDER_CLOSED", "The embedder is closed", http_status=503)
        if self._calls >= self._max_queue:
            raise RateLimitError(
                "QUEUE_FULL",
                f"{self._calls} calls are waiting for the embedder already",
                details="Try again in a moment.",
                metadata={"retry_after": 1},
            )
        self._calls += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, texts)
        finally:
            self._calls -= 1

    def _work(self, texts: list[str]) -> list[list[float]]:
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine.embed(texts)


def _check(texts: Sequence[str], options: EmbedderOptions | None) -> None:
    asked = options.model if options else None
    if asked not in (None, MODEL):
        raise ValidationError(
            "INVALID_OPTION",
            f"model is not known here: expected {MODEL}, found {asked[:64]!r}",
            metadata={"field": "model", "expected": MODEL, "found": asked[:64]},
        )
    size = max((len(text) for text in texts), default=0)
    if size > MAX_TEXT_CHARACTERS or len(texts) > MAX_TEXTS:
        raise ValidationError(
            "TEXT_TOO_LARGE",
            "There is too much text to embed in one call",
            details="Cut texts into passages first; only their first 256 tokens count.",
            metadata={"texts": len(texts), "longest": size, "max_texts": MAX_TEXTS},
            http_status=413,
        )
