"""OpenAIEmbedder: embeddings from any OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pyeino.components import EmbedderOptions
from pyeino.errors import DeclarationError
from pyeino.integrations.openai._errors import ProviderError, failed
from pyeino.integrations.openai._http import Endpoint
from pyeino.integrations.openai._response import EmbeddingAnswer

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
        raw = await self._endpoint.post("/embeddings", msgspec.json.encode(body), model=model)
        try:
            rows = sorted(_answers.decode(raw).data, key=lambda row: row.index)
        except msgspec.DecodeError as cause:
            text = raw.decode("utf-8", "replace")
            found = ProviderError(f"not an embedding answer: {cause}", body=text)
            raise failed("The provider's answer cannot be read", found) from cause
        if [row.index for row in rows] != list(range(len(texts))):
            found = ProviderError(f"{len(texts)} texts gave the rows {[row.index for row in rows]}")
            raise failed("The provider's answer does not match the texts", found)
        return [row.embedding for row in rows]
