"""Wrapping: one `Around` for every kind of component, and the kinds that can be wrapped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from pyeino.callbacks import TraceInfo, trace_info_of
from pyeino.components._embedder import Embedder, EmbedderOptions
from pyeino.components._model import ChatModel, ModelOptions
from pyeino.components._retrieval import (
    Reranker,
    RerankerOptions,
    RerankInput,
    Retriever,
    RetrieverOptions,
)
from pyeino.components._tool import StreamingTool, Tool, ToolOutput, type_name
from pyeino.errors import DeclarationError
from pyeino.schema import Document, Message, ToolInfo
from pyeino.streams import Stream

# Constrained, so that a wrapped OpenAIChatModel is a ChatModel and not an OpenAIChatModel.
ComponentT = TypeVar("ComponentT", ChatModel, Embedder, Retriever, Reranker, StreamingTool, Tool)
T = TypeVar("T")

Run: TypeAlias = Callable[[Any, Any], Awaitable[T]]
"""(component, options) to its answer."""

Open: TypeAlias = Callable[[Any, Any], Stream[T]]
"""(component, options) to the stream of its answer, whose owner closes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of a component, whatever its kind: what it was given, and under which options."""

    kind: str
    input: Any
    options: Any = None


class Around(ABC):
    """What a wrapper does around each call; one object serves every kind of component."""

    @abstractmethod
    async def call(self, request: Request, run: Run[T]) -> T:
        """Answer `request`, as a rule by `run(component, request.options)`."""

    @abstractmethod
    def chunks(self, request: Request, open_: Open[T]) -> AsyncIterator[T]:
        """Answer `request` in chunks, an async generator that closes every stream it opens."""


def wrap(component: ComponentT, around: Around) -> ComponentT:
    """`component` with `around` about each of its calls.

    Raises DeclarationError for something that is no component, or of a kind without wrappers.
    """
    whole: Any = component
    for protocol, wrapper in _WRAPPERS:
        if isinstance(whole, protocol) and not isinstance(whole, type):
            wrapped: Any = wrapper(whole, around)
            return wrapped  # type: ignore[no-any-return]  # the table pairs them
    raise DeclarationError(
        f"{type(whole).__name__} cannot be wrapped",
        expected="a ChatModel, Embedder, Retriever, Reranker or Tool",
        found=type(whole).__name__,
    )


class _Wrapped:
    """What all wrapped components share."""

    __slots__ = ("_around", "_inner")

    def __init__(self, inner: Any, around: Around) -> None:
        self._inner = inner
        self._around = around

    def get_type(self) -> str:
        """The implementation name of the component inside."""
        return type_name(self._inner)

    def get_trace_info(self) -> TraceInfo:
        """What the component inside says of itself."""
        return trace_info_of(self._inner) or TraceInfo(component_name=self.get_type())

    def __repr__(self) -> str:
        return f"<{type(self._around).__name__} around {self._inner!r}>"


class _WrappedChatModel(_Wrapped):
    __slots__ = ()

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        request = Request(kind="ChatModel", input=tuple(messages), options=options)

        def run(model: ChatModel, options: ModelOptions | None) -> Awaitable[Message]:
            return model.generate(request.input, options=options)

        return await self._around.call(request, run)

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        request = Request(kind="ChatModel", input=tuple(messages), options=options)

        def open_(model: ChatModel, options: ModelOptions | None) -> Stream[Message]:
            return model.stream(request.input, options=options)

        return Stream.from_iterator(self._around.chunks(request, open_))


class _WrappedEmbedder(_Wrapped):
    __slots__ = ()

    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        if not texts:
            return []
        request = Request(kind="Embedder", input=tuple(texts), options=options)

        def run(embedder: Embedder, options: EmbedderOptions | None) -> Awaitable[Any]:
            return embedder.embed(request.input, options=options)

        return await self._around.call(request, run)


class _WrappedRetriever(_Wrapped):
    __slots__ = ()

    async def retrieve(
        self, query: str, *, options: RetrieverOptions | None = None
    ) -> list[Document]:
        request = Request(kind="Retriever", input=query, options=options)

        def run(retriever: Retriever, options: RetrieverOptions | None) -> Awaitable[Any]:
            return retriever.retrieve(query, options=options)

        return await self._around.call(request, run)


class _WrappedReranker(_Wrapped):
    __slots__ = ()

    async def rerank(
        self, input: RerankInput, *, options: RerankerOptions | None = None
    ) -> list[Document]:
        request = Request(kind="Reranker", input=input, options=options)

        def run(reranker: Reranker, options: RerankerOptions | None) -> Awaitable[Any]:
            return reranker.rerank(input, options=options)

        return await self._around.call(request, run)


class _WrappedTool(_Wrapped):
    __slots__ = ()

    @property
    def info(self) -> ToolInfo:
        """What the model is told: that of the tool inside, or of the first of several."""
        info: ToolInfo = self._inner.info
        return info

    async def run(self, arguments: str) -> ToolOutput:
        def run(tool: Tool, options: None) -> Awaitable[ToolOutput]:
            return tool.run(arguments)

        return await self._around.call(self._request(arguments), run)

    def _request(self, arguments: str) -> Request:
        return Request(kind=f"Tool {self.info.name}", input=arguments)


class _WrappedStreamingTool(_WrappedTool):
    __slots__ = ()

    def stream(self, arguments: str) -> Stream[ToolOutput]:
        def open_(tool: StreamingTool, options: None) -> Stream[ToolOutput]:
            return tool.stream(arguments)

        return Stream.from_iterator(self._around.chunks(self._request(arguments), open_))


_WRAPPERS: tuple[tuple[Any, type[_Wrapped]], ...] = (
    (ChatModel, _WrappedChatModel),
    (Embedder, _WrappedEmbedder),
    (Retriever, _WrappedRetriever),
    (Reranker, _WrappedReranker),
    (StreamingTool, _WrappedStreamingTool),
    (Tool, _WrappedTool),
)
