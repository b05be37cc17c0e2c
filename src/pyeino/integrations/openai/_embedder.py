"""OpenAIEmbedder: embeddings from any OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pyeino.callbacks import TraceInfo
from pyeino.components import EmbedderOptions
from pyeino.errors import AppError, DeclarationError
from pyeino.integrations.openai._errors import (
    ProviderError,
    as_text,
    describe,
    error_object,
    error_of_status,
    failed,
    status_of,
)
from pyeino.integrations.openai._http import Endpoint
from pyeino.integrations.openai._request import encoded
from pyeino.integrations.openai._response import EmbeddingAnswer, EmbeddingRow
from pyeino.monitoring import model_trace_info

_answers = msgspec.json.Decoder(EmbeddingAnswer)


class OpenAIEmbedder:
    """Texts to vectors through POST /embeddings, `batch_size` (≥ 1) texts a call.

    `dimension` asks for shorter vectors where the model can. The endpoint is closed by whoever
    made it.
    """

    def __init__(
        self,
        model: str,
        *,
        endpoint: Endpoint,
        dimension: int | None = None,
        batch_size: int = 32,
    ) -> None:
        if batch_size < 1:
            raise DeclarationError(
                "batch_size is out of range", expected="at least 1", found=str(batch_size)
            )
        self.model = model
        self._endpoint = endpoint
        self._dimension = dimension
        self._batch_size = batch_size

    def get_trace_info(self) -> TraceInfo:
        """Provider, model and address, for traces and metrics."""
        address, port = self._endpoint.address
        return model_trace_info(
            kind="Embedder", name=self.model, provider="openai", address=address, port=port
        )

    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        """One vector for each text, in order. Raises what `Endpoint.post` raises."""
        model = (options.model if options else None) or self.model
        vectors: list[list[float]] = []
        for start in range(0, len(texts), self._batch_size):
            vectors.extend(await self._batch(texts[start : start + self._batch_size], model))
        return vectors

    async def _batch(self, texts: Sequence[str], model: str) -> list[list[float]]:
        body: dict[str, object] = {
            "model": model,
            "input": list(texts),
            "encoding_format": "float",
        }
        if self._dimension is not None:
            body["dimensions"] = self._dimension
        raw = await self._endpoint.post("/embeddings", encoded(body), model=model)
        try:
            answer = _answers.decode(raw)
        except (ValueError, RecursionError) as error:
            raise self._unreadable(f"not an embedding answer: {describe(error)}", raw) from None
        if answer.error:
            told, shown = error_object(answer.error), self._endpoint.hide(as_text(raw))
            raise error_of_status(status_of(told), told, model=model, headers={}, shown=shown)
        return self._in_order(answer.data or [], len(texts))

    def _in_order(self, rows: list[EmbeddingRow], count: int) -> list[list[float]]:
        places = [place if row.index is None else row.index for place, row in enumerate(rows)]
        if sorted(places) != list(range(count)):
            found = ProviderError(f"{count} texts gave the rows {places[: count + 1]}")
            raise failed("The model provider's answer does not match the texts", found)
        vectors = dict(zip(places, (row.embedding for row in rows), strict=True))
        if len({len(vector) for vector in vectors.values()}) > 1 or not all(vectors.values()):
            found = ProviderError("the vectors are empty or differ in length")
            raise failed("The model provider's answer cannot be used", found)
        return [vectors[place] for place in range(count)]

    def _unreadable(self, reason: str, raw: bytes) -> AppError:
        found = ProviderError(reason, body=self._endpoint.hide(as_text(raw)))
        return failed("The model provider's answer cannot be read", found)
