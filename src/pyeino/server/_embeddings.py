"""OpenAI's face of the embedder."""

from __future__ import annotations

from pyeino.server._exchange import Exchange
from pyeino.wire import EmbeddingRequest, embeddings_from


async def embeddings(exchange: Exchange, request: EmbeddingRequest) -> None:
    """A vector for each text; a client that leaves cancels it."""
    answer = await exchange.while_connected(
        exchange.backend.service.embeddings.embed(
            request.texts, model=request.model, call=exchange.call()
        )
    )
    await exchange.reply_json(embeddings_from(answer.vectors, model=answer.model, request=request))
