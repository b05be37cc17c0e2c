"""Every kind of component as a node: four call shapes, options by kind and by path, its RunInfo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from pyeino.callbacks import Handler, RunInfo
from pyeino.components import (
    DocumentSource,
    EmbedderOptions,
    IndexerOptions,
    LoaderOptions,
    ModelCall,
    ModelOptions,
    PromptCall,
    PromptTemplate,
    RerankerOptions,
    RerankInput,
    RetrieverOptions,
    tool,
    with_retry,
)
from pyeino.compose import Chain, ComponentOptions, Graph, RunOptions, ToolsNode
from pyeino.schema import Document, FunctionCall, Message, ToolCall
from pyeino.streams import Stream
from pyeino.testing import ScriptedChatModel

DOCS = [Document(id="1", content="a b"), Document(id="2", content="c")]


class Parts:
    """One component of every kind; `seen` holds the options each was called with."""

    def __init__(self) -> None:
        self.seen: list[Any] = []


class Retrieves(Parts):
    async def retrieve(
        self, query: str, *, options: RetrieverOptions | None = None
    ) -> list[Document]:
        self.seen.append(options)
        return [Document(id="1", content=query)]


class Embeds(Parts):
    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        self.seen.append(options)
        return [[float(len(text))] for text in texts]


class Indexes(Parts):
    async def store(
        self, documents: Sequence[Document], *, options: IndexerOptions | None = None
    ) -> list[str]:
        self.seen.append(options)
        return [document.id for document in documents]


class Reranks(Parts):
    async def rerank(
        self, input: RerankInput, *, options: RerankerOptions | None = None
    ) -> list[Document]:
        self.seen.append(options)
        return input.documents[::-1]


class Loads(Parts):
    async def load(
        self, source: DocumentSource, *, options: LoaderOptions | None = None
    ) -> list[Document]:
        self.seen.append(options)
        return [Document(id="1", content=source.uri)]


class Transforms(Parts):
    async def transform_documents(self, documents: Sequence[Document]) -> list[Document]:
        return [
            Document(id=f"{document.id}.{number}", content=word)
            for document in documents
            for number, word in enumerate(document.content.split())
        ]


@tool
async def double(n: int) -> int:
    """Double it."""
    return 2 * n


CALL = Message.assistant(
    "", tool_calls=[ToolCall(id="c", function=FunctionCall(name="double", arguments='{"n": 2}'))]
)
ASK = [Message.user("hi")]

KINDS: list[Any] = [
    pytest.param(
        "ChatModel", lambda: ScriptedChatModel("two words"), ASK, "two words", id="ChatModel"
    ),
    pytest.param(
        "ChatModel",
        lambda: with_retry(ScriptedChatModel("two words")),
        ASK,
        "two words",
        id="wrapped ChatModel",
    ),
    pytest.param(
        "ChatTemplate",
        lambda: PromptTemplate.from_messages(("user", "hi {x}")),
        {"x": "y"},
        ["hi y"],
        id="ChatTemplate",
    ),
    pytest.param("ToolsNode", lambda: ToolsNode([double]), CALL, ["4"], id="ToolsNode"),
    pytest.param("Retriever", Retrieves, "q", ["q"], id="Retriever"),
    pytest.param("Embedder", Embeds, ["a", "bcd"], [[1.0], [3.0]], id="Embedder"),
    pytest.param("Indexer", Indexes, DOCS, ["1", "2"], id="Indexer"),
    pytest.param(
        "Reranker", Reranks, RerankInput(query="q", documents=DOCS), ["c", "a b"], id="Reranker"
    ),
    pytest.param("Loader", Loads, DocumentSource(uri="x.txt"), ["x.txt"], id="Loader"),
    pytest.param("Transformer", Transforms, DOCS, ["a", "b", "c"], id="Transformer"),
]


def told(output: Any) -> Any:
    if isinstance(output, Message | Document):
        return output.content
    if isinstance(output, list):
        return [told(item) for item in output]
    return output


@pytest.mark.parametrize(("kind", "make", "item", "expected"), KINDS)
async def test_every_kind_answers_all_four_calls(
    kind: str, make: Callable[[], Any], item: Any, expected: Any
) -> None:
    graph = Graph(Any, Any)
    graph.add("node", make())
    graph.edge("start", "node")
    graph.edge("node", "end")
    run = graph.compile()
    calls: list[Awaitable[Any]] = [
        run.invoke(item),
        run.stream(item).concat(),
        run.collect(Stream.of([item])),
        run.transform(Stream.of([item])).concat(),
    ]
    for call in calls:
        assert told(await call) == expected


@pytest.mark.parametrize(("kind", "make", "item", "expected"), KINDS)
async def test_handlers_are_told_the_kind_and_the_implementation(
    kind: str, make: Callable[[], Any], item: Any, expected: Any
) -> None:
    infos: list[RunInfo] = []

    class Records(Handler):
        def on_start(self, info: RunInfo, input: Any) -> Any:
            infos.append(info)

    run = Chain(Any).then(make(), name="node").compile(name="whole")
    await run.invoke(item, options=RunOptions(callbacks=(Records(),)))
    node = next(info for info in infos if info.name == "node")
    assert node.component == kind
    inner = make()
    get_type = getattr(inner, "get_type", lambda: type(inner).__name__)
    assert node.type == get_type()


async def test_a_chat_model_streams_its_own_chunks() -> None:
    run = Chain(list[Message]).then(ScriptedChatModel("two words")).compile()
    chunks = await run.stream(ASK).collect()
    assert [chunk.content for chunk in chunks] == ["two ", "words", ""]


OPTIONS: list[Any] = [
    pytest.param(Retrieves, "q", RetrieverOptions(index="123"), id="row_84_retriever"),
    pytest.param(Embeds, ["a"], EmbedderOptions(model="123"), id="row_83_embedder"),
    pytest.param(Indexes, DOCS, IndexerOptions(index="123"), id="indexer"),
    pytest.param(
        Reranks, RerankInput(query="q", documents=DOCS), RerankerOptions(top_k=1), id="reranker"
    ),
    pytest.param(
        Loads, DocumentSource(uri="x"), LoaderOptions(extra_metadata={"k": 1}), id="loader"
    ),
]


@pytest.mark.parametrize(("make", "item", "options"), OPTIONS)
async def test_options_arrive_by_kind_and_by_path(
    make: Callable[[], Any], item: Any, options: Any
) -> None:
    part = make()
    inner = Chain(Any).then(part, name="part").compile()
    run = Chain(Any).then(inner, name="sub").compile()
    other = ModelOptions(model="other")
    await run.invoke(item)
    await run.invoke(item, options=RunOptions.of(options, other))
    await run.stream(item, options=RunOptions.of(options)).concat()
    for path in (("sub", "part"), ("sub",)):
        entry = ComponentOptions(options=options, path=path)
        await run.invoke(item, options=RunOptions(components=(entry,)))
    assert part.seen == [None, options, options, options, None]


async def test_row_82_options_arrive_as_the_record_that_was_given() -> None:
    model = ScriptedChatModel()
    run = Chain(list[Message]).then(model).compile()
    given = ModelOptions(extra={"vendor": {"x": 1}})
    await run.invoke(ASK, options=RunOptions.of(given))
    assert model.calls[0].options is given


async def test_row_83_with_input_and_output_keys() -> None:
    part = Embeds()
    graph = Graph(dict[str, Any], dict[str, Any])
    graph.add("embed", part, input_key="input", output_key="output")
    graph.edge("start", "embed")
    graph.edge("embed", "end")
    run = graph.compile()
    options = RunOptions.of(EmbedderOptions(model="123"))
    given: Mapping[str, Any] = {"input": ["ab"]}
    assert await run.invoke(dict(given), options=options) == {"output": [[2.0]]}
    assert await run.stream(dict(given), options=options).concat() == {"output": [[2.0]]}
    assert part.seen == [EmbedderOptions(model="123")] * 2


async def test_row_81_options_for_one_node_and_for_all_in_every_shape() -> None:
    first, second = ScriptedChatModel("one"), ScriptedChatModel("two")
    run = (
        Chain(list[Message])
        .then(first, name="first")
        .then(lambda message: [message], name="again")
        .then(second, name="second")
        .compile()
    )
    options = RunOptions(
        components=(
            ComponentOptions(options=ModelOptions(top_p=0.5)),
            ComponentOptions(options=ModelOptions(model="123"), path=("first",)),
            ComponentOptions(options=ModelOptions(model="456"), path=("second",)),
        )
    )
    await run.invoke(ASK, options=options)
    await run.stream(ASK, options=options).concat()
    await run.collect(Stream.of([ASK]), options=options)
    await run.transform(Stream.of([ASK]), options=options).concat()
    for model, name in ((first, "123"), (second, "456")):
        assert [call.options for call in model.calls] == [ModelOptions(model=name, top_p=0.5)] * 4


async def test_row_86_options_by_path_reach_that_node_only() -> None:
    models = [ScriptedChatModel(str(number)) for number in range(3)]

    def link(chain: Any, model: Any) -> Any:
        return chain.then(model, name="model").then(lambda message: [message], name="list")

    child = link(Chain(list[Message]), models[2]).compile()
    parent = link(Chain(list[Message]), models[1]).then(child, name="child").compile()
    run = link(Chain(list[Message]), models[0]).then(parent, name="parent").compile()
    entry = ComponentOptions(options=ModelOptions(model="deep"), path=("parent", "child", "model"))
    await run.invoke(ASK, options=RunOptions(components=(entry,)))
    assert [model.calls[0].options for model in models] == [None, None, ModelOptions(model="deep")]


async def test_a_tool_that_says_nothing_is_answered_in_both_modes() -> None:
    class Silent:
        info = double.info

        async def run(self, arguments: str) -> str:
            return ""

        def stream(self, arguments: str) -> Stream[str]:
            return Stream.of([])

    run = Chain(Message).then(ToolsNode([Silent()])).compile()
    for answers in (await run.invoke(CALL), await run.stream(CALL).concat()):
        assert [(one.content, one.tool_call_id) for one in answers] == [("", "c")]


async def test_handlers_are_shown_what_each_kind_was_called_with_and_its_options() -> None:
    shown: list[Any] = []

    class Keeper(Handler):
        def on_start(self, info: RunInfo, input: Any) -> None:
            if info.name == "part":
                shown.append(input)

    for make, item, options in [(one.values[0], one.values[1], one.values[2]) for one in OPTIONS]:
        run = Chain(Any).then(make(), name="part").compile()
        await run.invoke(item, options=RunOptions.of(options, callbacks=(Keeper(),)))
        record = shown.pop()
        assert record.options == options
        assert item in [getattr(record, name) for name in record.__struct_fields__]
    model = Chain(list[Message]).then(ScriptedChatModel(), name="part").compile()
    asked = ModelOptions(temperature=0.5)
    await model.stream(ASK, options=RunOptions.of(asked, callbacks=(Keeper(),))).collect()
    assert shown.pop() == ModelCall(messages=ASK, options=asked)
    prompt = PromptTemplate.from_messages(("user", "{x}"))
    rendered = Chain(dict[str, Any]).then(prompt, name="part").compile()
    await rendered.invoke({"x": "y"}, options=RunOptions(callbacks=(Keeper(),)))
    assert shown.pop() == PromptCall(variables={"x": "y"})


# --- foreign runnables ----------------------------------------------------------------------------


class Spy:
    """A Runnable of somebody else's, which keeps the options it is called with."""

    def __init__(self) -> None:
        self.seen: list[RunOptions | None] = []

    async def invoke(self, input: str, *, options: RunOptions | None = None) -> str:
        self.seen.append(options)
        return input

    def stream(self, input: str, *, options: RunOptions | None = None) -> Stream[str]:
        return self.transform(Stream.of([input]), options=options)

    async def collect(self, stream: Stream[str], *, options: RunOptions | None = None) -> str:
        return await self.invoke(await stream.concat(), options=options)

    def transform(self, stream: Stream[str], *, options: RunOptions | None = None) -> Stream[str]:
        self.seen.append(options)
        return stream


async def test_a_foreign_runnable_gets_the_options_of_its_place() -> None:
    spy = Spy()
    inner = Chain(str).then(spy, name="spy").compile(name="inner")
    chain = Chain(str).then(inner, name="inner").compile()
    everywhere, here, elsewhere = (ModelOptions(seed=seed) for seed in range(3))
    options = RunOptions(
        components=(
            ComponentOptions(options=everywhere),
            ComponentOptions(options=here, path=("inner", "spy")),
            ComponentOptions(options=elsewhere, path=("inner",)),
        )
    )
    assert await chain.invoke("x", options=options) == "x"
    assert await chain.stream("x", options=options).concat() == "x"
    for seen in spy.seen:
        assert seen is not None
        assert [(one.options.seed, one.path) for one in seen.components] == [
            (0, None),
            (1, None),
        ]
