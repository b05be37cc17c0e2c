"""Nodes of a workflow carry their types: a whole input that does not fit is refused."""

from typing import Any, assert_type

from pyeino.components import ChatModel
from pyeino.compose import START, WHOLE, Compiled, Workflow, WorkflowNode
from pyeino.schema import Message
from pyeino.streams import Stream


def length(text: str) -> int: ...


def half(number: int) -> float: ...


def is_long(number: int) -> str: ...


def first(items: list[int]) -> int: ...


async def first_is_upper(parts: Stream[str]) -> bool: ...


def of_message(message: Message) -> bool: ...


def join(parts: dict[str, Any]) -> str: ...


async def infers(fields: dict[str, str]) -> None:
    workflow = Workflow(str, float)
    measure = workflow.add("measure", length)
    assert_type(measure, WorkflowNode[str, int])
    assert_type(measure.input(workflow.start), WorkflowNode[str, int])
    halve = workflow.add("halve", half).input(measure).depends_on(START)
    assert_type(halve, WorkflowNode[int, float])
    joined = workflow.add("joined", join)
    joined.input(START, {"a": "b"}).input("measure", fields)
    joined.input(measure, {WHOLE: "c", ("a", "b"): ("d", "e"), first: "f"}, control=False)
    joined.value("g", 1).value(("h", "i"), object())
    measure.branch(is_long, {"yes": halve, "no": workflow.end()})
    workflow.branch(workflow.start, first_is_upper, [measure, "halve"])
    workflow.end().input(halve)
    app = workflow.compile(name="halves")
    assert_type(app, Compiled[str, float])
    assert_type(await app.invoke("a"), float)


def to_messages(text: str) -> list[Message]: ...


def a_list_may_be_given_where_a_sequence_is_taken(model: ChatModel) -> None:
    workflow = Workflow(str, Message)
    ask = workflow.add("ask", to_messages)
    workflow.end().input(workflow.add("chat", model).input(ask))


def refuses() -> None:
    workflow = Workflow(str, float)
    measure = workflow.add("measure", length)
    halve = workflow.add("halve", half)
    measure.input(measure)  # refused
    halve.input(workflow.start)  # refused
    workflow.end().input(workflow.start)  # refused
    halve.input("measure", {"a": 1})  # refused
    halve.input("measure", "a")  # refused
    measure.branch(of_message, [halve])  # refused
    workflow.branch(measure, of_message, [halve])  # refused
    workflow.add("none", 1)  # refused
