"""Handles carry the types of their nodes; an edge between two that do not fit is refused."""

from typing import assert_type

from pyeino.components import ChatModel
from pyeino.compose import Compiled, Graph, Handle
from pyeino.schema import Message
from pyeino.streams import Stream


def length(text: str) -> int: ...


def half(number: int) -> float: ...


def is_long(number: int) -> str: ...


async def first_is_upper(parts: Stream[str]) -> bool: ...


def of_message(message: Message) -> bool: ...


async def infers() -> None:
    graph = Graph(str, float)
    measure = graph.add("measure", length)
    assert_type(measure, Handle[str, int])
    halve = graph.add("halve", half)
    graph.edge(graph.start, measure)
    graph.edge(measure, halve)
    graph.edge(halve, graph.end)
    graph.edge("measure", "halve")
    graph.branch(measure, is_long, {"yes": halve, "no": graph.end})
    app = graph.compile(name="halves")
    assert_type(app, Compiled[str, float])
    assert_type(await app.invoke("a"), float)


def to_messages(text: str) -> list[Message]: ...


def a_list_may_lead_to_a_sequence(model: ChatModel) -> None:
    graph = Graph(str, Message)
    ask = graph.add("ask", to_messages)
    chat = graph.add("chat", model)
    graph.edge(ask, chat)
    graph.edge(chat, graph.end)


def refuses() -> None:
    graph = Graph(str, float)
    measure = graph.add("measure", length)
    halve = graph.add("halve", half)
    graph.edge(measure, measure)  # refused
    graph.edge(graph.start, halve)  # refused
    graph.edge(graph.start, graph.end)  # refused
    graph.branch(measure, of_message, {True: halve})  # refused
