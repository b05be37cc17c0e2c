"""What the guide names and never shows: inputs and repositories (N7), ProcessorConfig (N9), and
workflows beside chains (N4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyeino.compose import START, WHOLE, Chain, Graph, Workflow
from pyeino.integrations.memory import MemoryDatabase
from pyeino.schema import Message
from pyeino.service import (
    ChatInput,
    ChatOptions,
    ChatRequest,
    ProcessorConfig,
    RAGInput,
    ToolInput,
    create_batch_processor,
    create_query_processor,
    create_response_formatter,
    create_streaming_processor,
)
from pyeino.stores import MessageRepository, SessionRepository
from pyeino.streams import Stream

from .conftest import OpenBench


def say(message: str) -> Message:
    return Message.assistant(message)


async def test_n4_chains_graphs_and_workflows_are_registered_by_name(bench: OpenBench) -> None:
    def of_input(given: ChatInput) -> Message:
        return say(f"chain {given.message}")

    graph = Graph(ChatInput, Message)
    graph.add("say", lambda given: say(f"graph {given.message}"))
    graph.edge(START, "say")
    graph.edge("say", "end")
    workflow = Workflow(ChatInput, Message)
    workflow.add("say", lambda given: say(f"workflow {given['text']} of {given['user']}")).input(
        START, {"message": "text", "user_id": "user"}
    )
    workflow.end().input("say")
    chains: dict[str, Any] = {
        "one": Chain(ChatInput).then(of_input).compile(),
        "two": graph.compile(),
        "three": workflow.compile(name="three"),
    }
    async with bench("plain", chains=chains) as given:
        answers = []
        for name in (*chains, "auto"):
            options = ChatOptions(chain=name)
            asked = ChatRequest(user_id="ann", message="hi", options=options)
            answers.append(await given.service.chat(asked))
        assert [answer.content for answer in answers] == [
            "chain hi",
            "graph hi",
            "workflow hi of ann",
            "plain",
        ]
        assert [(answer.metadata or {})["chain"] for answer in answers[:3]] == list(chains)
        streamed = ChatRequest(user_id="ann", message="hi", options=ChatOptions(chain="three"))
        chunks = [chunk async for chunk in given.service.stream_chat(streamed)]
        assert "".join(chunk.delta for chunk in chunks) == "workflow hi of ann"


async def test_n7_each_chain_gets_its_own_input(bench: OpenBench) -> None:
    seen: list[ChatInput] = []

    def rag(given: RAGInput) -> Message:
        seen.append(given)
        return say("rag")

    def tools(given: ToolInput) -> Message:
        seen.append(given)
        return say("tools")

    def chat(given: ChatInput) -> Message:
        seen.append(given)
        return say("chat")

    async with bench(
        chat_chain=Chain(ChatInput).then(chat).compile(),
        rag_chain=Chain(RAGInput).then(rag).compile(),
        tool_chain=Chain(ToolInput).then(tools).compile(),
    ) as given:
        for options, context in (
            (ChatOptions(), None),
            (ChatOptions(chain="rag", top_k=2), {"index": "books"}),
            (ChatOptions(tools=("calculator",)), None),
        ):
            asked = ChatRequest(user_id="ann", message="hi", options=options, context=context)
            await given.service.chat(asked)
    assert [type(one) for one in seen] == [ChatInput, RAGInput, ToolInput]
    assert all((one.user_id, one.message) == ("ann", "hi") for one in seen)
    assert all(one.messages[-1].content == "hi" for one in seen)
    assert len({one.message_id for one in seen}) == 3
    retrieval, with_tools = seen[1], seen[2]
    assert isinstance(retrieval, RAGInput)
    assert (retrieval.index, retrieval.top_k) == ("books", 2)
    assert isinstance(with_tools, ToolInput)
    assert with_tools.tools == ("calculator",)


async def test_n7_the_repositories_are_protocols_that_the_service_writes_through(
    bench: OpenBench,
) -> None:
    # the type checkers hold what a store of one's own has to have
    scope = MemoryDatabase().scope()
    sessions: SessionRepository = scope.sessions
    messages: MessageRepository = scope.messages
    assert (await sessions.ensure("s", user_id="ann")).user_id == "ann"
    assert not (await messages.list("s", user_id="ann", limit=1)).items
    async with bench("first", "second") as given:
        answer = await given.service.chat(ChatRequest(user_id="ann", message="hi"))
        session = (answer.metadata or {})["session_id"]
        await given.service.chat(ChatRequest(user_id="ann", message="more", session_id=session))
        rows = await given.rows(session)
        assert [row.content for row in rows] == ["hi", "first", "more", "second"]
        # every access went through the repositories that it was given
        assert given.faults.calls.count("begin_turn") == 2
        assert given.faults.calls.count("finish_turn") == 2


async def test_n9_everything_in_processor_config_can_be_put_in() -> None:
    def longest(items: Sequence[str]) -> str:
        return max(items, key=len)

    config = ProcessorConfig(
        enhance=lambda query: f"[{query}]",
        format=lambda text: f"**{text}**",
        process_word=str.upper,
        process_batch=longest,
    )
    query = Chain(str).then(create_query_processor(config)).compile()
    assert await query.invoke(" why? ") == "[why?]"
    answer = Chain(Message).then(create_response_formatter(config)).compile()
    assert (await answer.invoke(say("because"))).content == "**because**"
    words = Chain(str).then(create_streaming_processor(config)).compile()
    async with words.stream("one two") as stream:
        pieces = [piece async for piece in stream]
    assert "".join(pieces) == "ONE TWO"
    assert len(pieces) > 1
    batch = Chain(str).then(create_batch_processor(config)).compile()
    assert await batch.collect(Stream.of(["a", "ccc", "bb"])) == "ccc"


async def test_n9_without_them_the_guides_defaults_hold() -> None:
    plain = ProcessorConfig()
    words = Chain(str).then(create_streaming_processor(plain)).compile()
    assert await words.invoke("one  two") == "one  two"
    batch = Chain(str).then(create_batch_processor(plain)).compile()
    assert await batch.collect(Stream.of(["a", "b"])) == "ab"
    closing = create_response_formatter(ProcessorConfig(add_markdown=True))
    answer = Chain(Message).then(closing).compile()
    assert (await answer.invoke(say("```\ncode"))).content == "```\ncode\n```"


async def test_n9_processors_fit_into_a_workflow() -> None:
    query = ProcessorConfig(add_context=True, context_info="sky")
    workflow = Workflow(dict[str, str], dict[str, str])
    workflow.add("query", create_query_processor(query)).input(START, {"question": WHOLE})
    workflow.end().input("query", {WHOLE: "prompt"})
    run = workflow.compile()
    expected = {"prompt": "Context: sky\nQuery: why?"}
    assert await run.invoke({"question": "why?"}) == expected
    assert await run.stream({"question": "why?"}).concat() == expected
