"""A chain of the user's as the chat chain of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeGuard, get_args, get_origin

from pyeino.compose import Chain, Compiled, Runnable
from pyeino.errors import PyeinoError
from pyeino.schema import Message
from pyeino.service import ChatInput
from pyeino.streams import Stream

_REMEDY = (
    "serve a compiled chain, graph or workflow that takes ChatInput, list[Message] or str "
    "and gives Message or str"
)


class UnfitChainError(PyeinoError):
    """The object cannot answer chat requests."""

    default_code = "UNFIT_CHAIN"


def as_chat_chain(found: Any, *, name: str) -> Runnable[ChatInput, Message]:
    """`found` as a chain over ChatInput that gives a Message; `name` is for the error.

    A chain over ChatInput is taken as it is; one over `list[Message]` gets the conversation, one
    over `str` the text of the question. Text that it gives becomes the assistant's message,
    streamed as it comes. Raises UnfitChainError when it is not compiled or takes something else.
    """
    if not _is_compiled(found):
        compiled = callable(getattr(found, "compile", None))
        raise UnfitChainError(
            f"{name} is not compiled" if compiled else f"{name} is no chain",
            expected="a compiled chain or graph",
            found=type(found).__name__,
            remedy="name the result of its compile()" if compiled else _REMEDY,
        )
    chain = found
    front = _front(chain, name)
    gives_message = chain.output_type is Message
    if front is None and gives_message:
        return chain
    nodes = {"question": front, chain.name or "chain": chain}
    if not gives_message:
        nodes["answer"] = _to_messages
    builder: Any = Chain(ChatInput)
    for node_name, node in nodes.items():
        if node is not None:
            builder = builder.then(node, name=node_name)
    compiled_chain: Compiled[ChatInput, Message] = builder.compile(name=chain.name or "chat")
    return compiled_chain


def _is_compiled(found: object) -> TypeGuard[Compiled[Any, Any]]:
    return isinstance(found, Compiled)


def _front(chain: Compiled[Any, Any], name: str) -> Any:
    """The function that makes the chain's input from a ChatInput; None when it takes one."""
    wanted = chain.input_type
    base = get_origin(wanted) or wanted
    if wanted in (Any, object) or base is ChatInput:
        return None
    if base is str:
        return _question
    takes_list = isinstance(base, type) and issubclass(list, base)
    if takes_list and get_args(wanted) in ((), (Message,), (Any,)):
        return _conversation
    if isinstance(base, type) and issubclass(ChatInput, base):
        return None
    raise UnfitChainError(
        f"{name} cannot answer chat requests",
        expected="a chain over ChatInput, list[Message] or str",
        found=f"one over {getattr(wanted, '__name__', wanted)}",
        remedy=_REMEDY,
    )


def _question(given: ChatInput) -> str:
    return given.message


def _conversation(given: ChatInput) -> list[Message]:
    return list(given.messages)


async def _to_messages(parts: Stream[Any]) -> AsyncIterator[Message]:
    async for part in parts:
        if isinstance(part, Message):
            yield part
        elif isinstance(part, str):
            yield Message.assistant(part)
        else:
            raise UnfitChainError(
                "the served chain gave something that is no answer",
                expected="Message or str",
                found=type(part).__name__,
                remedy=_REMEDY,
            )
