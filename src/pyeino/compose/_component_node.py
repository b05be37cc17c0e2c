"""Components as nodes: which method each kind is called by, and with which options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyeino.components import (
    ChatModel,
    ChatTemplate,
    DocumentSource,
    Embedder,
    EmbedderCall,
    EmbedderOptions,
    Indexer,
    IndexerCall,
    IndexerOptions,
    Loader,
    LoaderCall,
    LoaderOptions,
    ModelCall,
    ModelOptions,
    Options,
    PromptCall,
    Reranker,
    RerankerCall,
    RerankerOptions,
    RerankInput,
    Retriever,
    RetrieverCall,
    RetrieverOptions,
    Transformer,
    TransformerCall,
)
from pyeino.compose._context import RunContext
from pyeino.compose._shapes import Shapes
from pyeino.compose._spec import NodeSpec, info_of, spec_of
from pyeino.compose._tools_node import ToolsNode
from pyeino.schema import Document, Message
from pyeino.streams import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A kind of component with one method from value to value."""

    protocol: Any
    method: str
    name: str
    input_type: Any
    output_type: Any
    options: type[Options] | None
    shown: Callable[[Any, Any], Any]


_KINDS = (
    _Kind(
        protocol=Retriever,
        method="retrieve",
        name="Retriever",
        input_type=str,
        output_type=list[Document],
        options=RetrieverOptions,
        shown=lambda item, options: RetrieverCall(query=item, options=options),
    ),
    _Kind(
        protocol=Embedder,
        method="embed",
        name="Embedder",
        input_type=Sequence[str],
        output_type=list[list[float]],
        options=EmbedderOptions,
        shown=lambda item, options: EmbedderCall(texts=item, options=options),
    ),
    _Kind(
        protocol=Indexer,
        method="store",
        name="Indexer",
        input_type=Sequence[Document],
        output_type=list[str],
        options=IndexerOptions,
        shown=lambda item, options: IndexerCall(documents=item, options=options),
    ),
    _Kind(
        protocol=Reranker,
        method="rerank",
        name="Reranker",
        input_type=RerankInput,
        output_type=list[Document],
        options=RerankerOptions,
        shown=lambda item, options: RerankerCall(input=item, options=options),
    ),
    _Kind(
        protocol=Loader,
        method="load",
        name="Loader",
        input_type=DocumentSource,
        output_type=list[Document],
        options=LoaderOptions,
        shown=lambda item, options: LoaderCall(source=item, options=options),
    ),
    _Kind(
        protocol=Transformer,
        method="transform_documents",
        name="Transformer",
        input_type=Sequence[Document],
        output_type=list[Document],
        options=None,
        shown=lambda item, options: TransformerCall(documents=item),
    ),
)


def component_spec(name: str, node: Any) -> NodeSpec | None:
    """The NodeSpec of a component; None when `node` is not one."""
    if isinstance(node, ChatModel):
        return _chat_model(name, node)
    if isinstance(node, ToolsNode):
        return _tools_node(name, node)
    if isinstance(node, ChatTemplate) and not isinstance(node, str):  # str has a format() too
        return _chat_template(name, node)
    for kind in _KINDS:
        if isinstance(node, kind.protocol) and not isinstance(node, type):
            return _single_method(name, node, kind)
    return None


def _chat_model(name: str, model: ChatModel) -> NodeSpec:
    async def invoke(messages: Sequence[Message], context: RunContext) -> Message:
        return await model.generate(messages, options=context.for_node(name, ModelOptions))

    def stream(messages: Sequence[Message], context: RunContext) -> Stream[Message]:
        return model.stream(messages, options=context.for_node(name, ModelOptions))

    return spec_of(
        Shapes(invoke=invoke, stream=stream),
        info=info_of(model, name=name, kind="ChatModel"),
        input_type=Sequence[Message],
        output_type=Message,
        describe=lambda messages, context: ModelCall(
            messages=messages, options=context.for_node(name, ModelOptions)
        ),
    )


def _chat_template(name: str, template: ChatTemplate) -> NodeSpec:
    async def invoke(variables: Mapping[str, Any], context: RunContext) -> list[Message]:
        return template.format(variables)

    return spec_of(
        Shapes(invoke=invoke),
        info=info_of(template, name=name, kind="ChatTemplate"),
        input_type=Mapping[str, Any],
        output_type=list[Message],
        plain=(template.format, False),
        describe=lambda variables, context: PromptCall(variables=variables),
    )


def _tools_node(name: str, node: ToolsNode) -> NodeSpec:
    async def invoke(message: Message, context: RunContext) -> list[Message]:
        return await node.call(message, handlers=context.handlers)

    def stream(message: Message, context: RunContext) -> Stream[list[Message]]:
        return node.call_stream(message, handlers=context.handlers)

    return spec_of(
        Shapes(invoke=invoke, stream=stream),
        info=info_of(node, name=name, kind="ToolsNode"),
        input_type=Message,
        output_type=list[Message],
    )


def _single_method(name: str, component: Any, kind: _Kind) -> NodeSpec:
    method, options = getattr(component, kind.method), kind.options

    async def invoke(item: Any, context: RunContext) -> Any:
        if options is None:
            return await method(item)
        return await method(item, options=context.for_node(name, options))

    def describe(item: Any, context: RunContext) -> Any:
        return kind.shown(item, options and context.for_node(name, options))

    return spec_of(
        Shapes(invoke=invoke),
        info=info_of(component, name=name, kind=kind.name),
        describe=describe,
        input_type=kind.input_type,
        output_type=kind.output_type,
    )
