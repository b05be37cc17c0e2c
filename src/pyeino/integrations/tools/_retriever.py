"""A retriever as a tool: the model asks for passages when it finds that it needs some."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from pyeino.components import FunctionTool, Retriever, RetrieverOptions, tool
from pyeino.errors import DeclarationError
from pyeino.schema import Document

MAX_QUERY: Final = 1_024


def retriever_tool(
    retriever: Retriever,
    *,
    name: str = "search",
    description: str = "Find passages in the documents that help to answer a question.",
    top_k: int = 4,
    max_characters: int = 4_000,
) -> FunctionTool:
    """`retriever` as a tool with one argument, the query.

    It answers a JSON list of at most `top_k` passages, best first: {id, text, score?, source?}.
    Their texts have `max_characters` together, the last one cut with "…"; nothing found is said
    in words. Errors of the retriever are the tool's. Raises DeclarationError for bounds below 1.
    """
    if top_k < 1 or max_characters < 1:
        raise DeclarationError(
            "the bounds of a retriever tool are out of range",
            expected="top_k and max_characters of at least 1",
            found=f"{top_k} and {max_characters}",
        )

    async def search(query: Annotated[str, Meta(min_length=1, max_length=MAX_QUERY)]) -> str:
        """Find passages.

        Args:
            query: What to look for, in a few words or as a question.
        """
        found = await retriever.retrieve(query, options=RetrieverOptions(top_k=top_k))
        passages = _passages(found[:top_k], max_characters)
        if not passages:
            return "Nothing was found. Answer without it, or search for something else."
        return msgspec.json.encode(passages).decode()

    return tool(name=name, description=description)(search)


def _passages(documents: list[Document], room: int) -> list[dict[str, object]]:
    passages: list[dict[str, object]] = []
    for document in documents:
        if room <= 0:
            break
        text = document.content.strip()
        if not text:
            continue
        cut = text if len(text) <= room else text[: room - 1] + "…"
        room -= len(cut)
        passage: dict[str, object] = {"id": document.id, "text": cut}
        source = document.meta_data.get("source")
        passage |= {"score": round(document.score, 4)} if document.score else {}
        passage |= {"source": source} if isinstance(source, str) and source else {}
        passages.append(passage)
    return passages
