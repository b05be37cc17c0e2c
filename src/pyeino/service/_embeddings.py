"""Embeddings: texts to vectors, within the bounds of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pyeino.callbacks import Handler, RunInfo, told, trace_info_of
from pyeino.components import Embedder, EmbedderCall
from pyeino.errors import AppError, ExternalError, NotFoundError
from pyeino.monitoring import Logger
from pyeino.service._budget import TokenBudget, estimate_tokens
from pyeino.service._finally import finish_anyway
from pyeino.service._limits import ServiceLimits
from pyeino.service._outcome import timeout_error
from pyeino.service._records import CallContext
from pyeino.service._validation import DEFAULT_MODEL, check_text, invalid

MAX_TEXTS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingAnswer:
    """One vector for each text, in their order and all of one length, and who made them."""

    vectors: tuple[list[float], ...]
    model: str


class Embeddings:
    """An Embedder as the doors offer it; without one every call is a NotFoundError.

    `model` is the name that it answers to beside "default". Every call raises AppError only.
    """

    def __init__(
        self,
        embedder: Embedder | None,
        *,
        model: str,
        limits: ServiceLimits,
        logger: Logger,
        callbacks: Sequence[Handler] = (),
    ) -> None:
        self._embedder = embedder
        self._limits = limits
        self._logger = logger
        self.model = model
        self._callbacks = callbacks
        self._info = RunInfo(
            name=model,
            type=type(embedder).__name__,
            component="Embedder",
            trace=trace_info_of(embedder),
        )

    async def embed(
        self,
        texts: Sequence[str],
        *,
        model: str = DEFAULT_MODEL,
        call: CallContext | None = None,
    ) -> EmbeddingAnswer:
        """Embed 1 to 2048 `texts`; they count in the budget of `call`, if it has one.

        NotFoundError EMBEDDINGS_NOT_CONFIGURED or MODEL_NOT_FOUND, ValidationError for a text
        that is empty or too long, InternalError TIMEOUT (504), ExternalError EMBEDDING_FAILED.
        """
        embedder = self._embedder
        if embedder is None:
            raise NotFoundError(
                "EMBEDDINGS_NOT_CONFIGURED",
                "This server has no embedding model",
                details="Configure one, or make the service with an embedder.",
            )
        if model not in (DEFAULT_MODEL, self.model):
            raise NotFoundError(
                "MODEL_NOT_FOUND",
                f"There is no embedding model {model[:100]!r}; "
                f"there are {DEFAULT_MODEL}, {self.model}",
                metadata={"field": "model", "found": model[:100]},
            )
        if not 1 <= len(texts) <= MAX_TEXTS:
            raise invalid("input", f"1 to {MAX_TEXTS} texts", f"{len(texts)}")
        for index, text in enumerate(texts):
            check_text(f"input[{index}]", text, self._limits.message_bytes)
        budget = call.budget if call is not None else None
        if budget is None:
            vectors = await self._ask(embedder, texts)
        else:
            vectors = await self._ask_within(budget, embedder, texts)
        return EmbeddingAnswer(vectors=tuple(vectors), model=self.model)

    async def _ask_within(
        self, budget: TokenBudget, embedder: Embedder, texts: Sequence[str]
    ) -> list[list[float]]:
        cost = sum(estimate_tokens(text) for text in texts)
        used, reserved = 0, False

        async def reserve() -> None:
            nonlocal reserved
            await budget.reserve(prompt_tokens=cost, max_tokens=0)
            reserved = True

        try:
            # Whole even when cancelled: what was set aside meanwhile has to be given back, too.
            await finish_anyway(reserve(), name="reserve tokens")
            vectors = await self._ask(embedder, texts)
            used = cost
        finally:
            if reserved:
                await self._settle(budget, used)
        return vectors

    async def _settle(self, budget: TokenBudget, used: int) -> None:
        try:
            await finish_anyway(budget.settle(used), name="settle tokens")
        except Exception as error:  # noqa: BLE001 - the vectors are there: this is not their failure
            self._logger.error("Failed to settle tokens", error=error)

    async def _ask(self, embedder: Embedder, texts: Sequence[str]) -> list[list[float]]:
        seconds = self._limits.timeout
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                vectors = await told(
                    lambda call: embedder.embed(call.texts),
                    EmbedderCall(texts=texts),
                    self._info,
                    handlers=self._callbacks,
                )
        except AppError:
            raise
        except Exception as error:
            self._logger.error("Embedding failed", error=error, texts=len(texts))
            if isinstance(error, TimeoutError):
                raise timeout_error(
                    seconds=seconds if deadline.expired() else None, cause=error
                ) from error
            raise _failed(error) from error
        if len(vectors) != len(texts):
            found = ValueError(f"{len(vectors)} vectors for {len(texts)} texts")
            self._logger.error("Embedding failed", error=found, texts=len(texts))
            raise _failed(found)
        return vectors


def _failed(cause: Exception) -> ExternalError:
    return ExternalError("EMBEDDING_FAILED", "The texts could not be embedded", cause=cause)
