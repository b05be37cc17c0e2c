"""A retriever as a tool: passages as JSON, bounded."""

from __future__ import annotations

import json

import pytest

from pyeino.components import RetrieverOptions
from pyeino.errors import DeclarationError, ParseError
from pyeino.integrations.tools import retriever_tool
from pyeino.schema import Document


class Shelf:
    """A retriever that gives what it was made with."""

    def __init__(self, *documents: Document) -> None:
        self.documents = list(documents)
        self.asked: list[tuple[str, RetrieverOptions | None]] = []

    async def retrieve(
        self, query: str, *, options: RetrieverOptions | None = None
    ) -> list[Document]:
        self.asked.append((query, options))
        return self.documents


async def test_passages_come_best_first_with_score_and_source() -> None:
    shelf = Shelf(
        Document(id="a", content=" one ", meta_data={"source": "a.md"}).with_score(0.91234),
        Document(id="empty", content="  "),
        Document(id="b", content="two"),
        Document(id="c", content="three"),
    )
    tool = retriever_tool(shelf, top_k=3)
    found = json.loads(str(await tool.run('{"query": "what?"}')))
    assert found == [
        {"id": "a", "text": "one", "score": 0.9123, "source": "a.md"},
        {"id": "b", "text": "two"},
    ]
    assert shelf.asked == [("what?", RetrieverOptions(top_k=3))]
    assert tool.info.name == "search"


async def test_texts_are_bounded_together() -> None:
    shelf = Shelf(*(Document(id=str(n), content="x" * 30) for n in range(4)))
    found = json.loads(str(await retriever_tool(shelf, max_characters=50).run('{"query": "q"}')))
    assert [len(one["text"]) for one in found] == [30, 20]
    assert found[1]["text"].endswith("…")


async def test_nothing_found_is_said_in_words() -> None:
    assert "Nothing was found" in str(await retriever_tool(Shelf()).run('{"query": "q"}'))


async def test_bad_arguments_and_bounds_are_refused() -> None:
    for bad in ("{}", '{"query": ""}', json.dumps({"query": "x" * 2000})):
        with pytest.raises(ParseError):
            await retriever_tool(Shelf()).run(bad)
    with pytest.raises(DeclarationError):
        retriever_tool(Shelf(), top_k=0)
