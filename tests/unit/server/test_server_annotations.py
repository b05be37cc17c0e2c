"""Citations under /v1: annotations that the official client parses, whole and streamed."""

from __future__ import annotations

from typing import Any

import pytest

from pyeino.components import RetrieverOptions
from pyeino.integrations.memory import MemoryDatabase
from pyeino.schema import Document
from pyeino.service import ChatService, default_chat_chain, default_rag_chain, retriever_probe
from pyeino.testing import ScriptedChatModel
from pyeino.wire import SSEDecoder, annotations_of

from .conftest import MODELS, ListLogger, Metrics, serving

ANSWER = "It listens on 8080 – always."
ASKED: Any = {"model": "default", "messages": [{"role": "user", "content": "which ports?"}]}


class _Ports:
    """Knows one passage, about ports."""

    async def retrieve(
        self, query: str, *, options: RetrieverOptions | None = None
    ) -> list[Document]:
        if "ports" not in query:
            return []
        data = {"source": "docs/a: b.md", "title": "Ports", "_similarity": 0.9}
        return [Document(id="p1", content="The port is 8080.", meta_data=data)]


@pytest.fixture
async def running() -> Any:
    model, retriever, logger = ScriptedChatModel(ANSWER), _Ports(), ListLogger()
    scope, metrics = MemoryDatabase().scope(), Metrics()
    service = ChatService(
        default_chat_chain(model),
        default_rag_chain(model, retriever),
        None,
        scope.sessions,
        scope.messages,
        logger,
        metrics,
        models=MODELS,
        index_probe=retriever_probe(retriever),
    )
    async with service, serving(service, model, logger=logger, metrics=metrics) as one:
        yield one


def _check(citation: Any) -> None:
    assert (citation.title, citation.url) == ("Ports", "docs/a%3A%20b.md")
    assert (citation.start_index, citation.end_index) == (0, len(ANSWER))
    extra = citation.model_extra
    assert (extra["id"], extra["source"], extra["score"]) == ("p1", "docs/a: b.md", 0.9)
    assert extra["text"] == "The port is 8080."


async def test_the_official_client_finds_the_citations_of_an_answer(running: Any) -> None:
    async with running.openai() as client:
        answer = await client.chat.completions.create(**ASKED)
        message = answer.choices[0].message
        assert message.content == ANSWER
        (annotation,) = message.annotations
        assert annotation.type == "url_citation"
        _check(annotation.url_citation)
        # What came may be sent back, as clients do with the whole message.
        again = [*ASKED["messages"], message, {"role": "user", "content": "thanks"}]
        other = await client.chat.completions.create(model="default", messages=again)
        assert other.choices[0].message.annotations is None


async def test_a_stream_has_them_with_its_finish_reason(running: Any) -> None:
    async with running.openai() as client:
        chunks = [one async for one in await client.chat.completions.create(**ASKED, stream=True)]
    with_them = [one.choices[0] for one in chunks if one.choices[0].delta.model_extra]
    (choice,) = with_them
    assert choice.finish_reason == "stop"
    (annotation,) = choice.delta.model_extra["annotations"]
    assert annotation["type"] == "url_citation"
    assert annotation["url_citation"]["end_index"] == len(ANSWER)
    assert annotation["url_citation"]["source"] == "docs/a: b.md"


async def test_the_clients_own_stream_helper_takes_them(running: Any) -> None:
    async with running.openai() as client, client.chat.completions.stream(**ASKED) as stream:
        whole = await stream.get_final_completion()
    (annotation,) = whole.choices[0].message.annotations
    assert whole.choices[0].message.content == ANSWER
    found = annotation if isinstance(annotation, dict) else annotation.model_dump()
    assert found["url_citation"]["title"] == "Ports"


async def test_an_answer_without_documents_has_none(running: Any) -> None:
    body = {**ASKED, "messages": [{"role": "user", "content": "hello"}]}
    whole = await running.http.post("/v1/chat/completions", json=body)
    assert "annotations" not in whole.json()["choices"][0]["message"]
    streamed = await running.http.post("/v1/chat/completions", json={**body, "stream": True})
    assert not any("annotations" in one.data for one in SSEDecoder().feed(streamed.content))


@pytest.mark.parametrize("found", [None, "x", {}, [1, {"id": 5}, {"source": "no id"}]])
def test_what_is_no_citation_is_left_out(found: object) -> None:
    assert annotations_of(found, length=3) == ()
