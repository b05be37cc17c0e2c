"""The selection graph: one branch over the chains that are configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyeino.compose import Chain, Compiled, Graph, Runnable
from pyeino.schema import Message
from pyeino.service._inputs import ChatInput, RAGInput, ToolInput
from pyeino.service._selection import AUTO, PLAIN, RAG, TOOLS
from pyeino.service._turn import Turn


def compile_selection_graph(
    chat_chain: Runnable[ChatInput, Message],
    rag_chain: Runnable[RAGInput, Message] | None,
    tool_chain: Runnable[ToolInput, Message] | None,
    *,
    chains: Mapping[str, Runnable[ChatInput, Message]] | None = None,
) -> Compiled[Turn, Message]:
    """A graph that gives each turn to the chain which was selected for it.

    Each chain gets its own kind of input, built by the node in front of it. ValueError when a
    registered chain has a name that means something else already.
    """
    nodes: dict[str, Compiled[Turn, Message]] = {
        PLAIN: Chain(Turn).then(_to_chat_input, name="input").then(chat_chain).compile(name=PLAIN)
    }
    if rag_chain is not None:
        nodes[RAG] = Chain(Turn).then(_to_rag_input, name="input").then(rag_chain).compile(name=RAG)
    if tool_chain is not None:
        nodes[TOOLS] = (
            Chain(Turn).then(_to_tool_input, name="input").then(tool_chain).compile(name=TOOLS)
        )
    for name, chain in (chains or {}).items():
        if name in (AUTO, PLAIN, RAG, TOOLS, "") or not name.isprintable():
            raise ValueError(f"a chain cannot be registered as {name!r}; choose another name")
        nodes[name] = Chain(Turn).then(_to_chat_input, name="input").then(chain).compile(name=name)
    graph = Graph(Turn, Message)
    ends: dict[Any, str] = {}
    for name, node in nodes.items():
        graph.edge(graph.add(name, node), graph.end)
        ends[name] = name
    graph.branch(graph.start, _selected, ends)
    return graph.compile(name="chat_service")


def _selected(turn: Turn) -> str:
    return turn.selection.chain


def _to_chat_input(turn: Turn) -> ChatInput:
    return turn.to_chat_input()


def _to_rag_input(turn: Turn) -> RAGInput:
    return turn.to_rag_input()


def _to_tool_input(turn: Turn) -> ToolInput:
    return turn.to_tool_input()
