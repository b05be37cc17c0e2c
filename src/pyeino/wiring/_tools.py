"""The tool chain that is there by default."""

from __future__ import annotations

from collections.abc import Callable

from pyeino.components import ChatModel, Retriever, Tool
from pyeino.compose import Compiled
from pyeino.integrations.tools import calculator, clock, retriever_tool
from pyeino.schema import Message
from pyeino.service import ToolInput, default_tool_chain
from pyeino.wiring._tree import Settings


def _as_it_is(tool: Tool) -> Tool:
    return tool


def build_tool_chain(
    settings: Settings,
    model: ChatModel,
    *,
    retriever: Retriever | None = None,
    cached: Callable[[Tool], Tool] = _as_it_is,
) -> Compiled[ToolInput, Message]:
    """A chain over calculator and clock, and over search where there is a `retriever`.

    The small local model has to call one of the tools that a request names: left to itself it
    would seldom see that it should. `cached` is put around the tools whose answers may be given
    again; the clock's may not.
    """
    tools: list[Tool] = [cached(calculator), clock]
    if retriever is not None:
        tools.append(cached(retriever_tool(retriever)))
    return default_tool_chain(
        model,
        tools,
        system_prompt=settings.llm.system_prompt,
        force_named=settings.llm.provider == "local",
    )
