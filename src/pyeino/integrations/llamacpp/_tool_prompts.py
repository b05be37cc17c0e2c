"""What the model is shown of tools: as words, since its template has no place for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from msgspec.structs import replace

from pyeino.schema import Message, Role, ToolCall, ToolInfo

ANSWER: Final = "answer"
MAX_TEXT: Final = 256
_EXAMPLES_A_TOOL: Final = 3
_ORDER_TO_ANSWER: Final = "Answer the question in one sentence."
_WITHOUT_TOOL = ("Hello!", "Who was Isaac Newton?", "Write a short poem.")


def argument_prompt(messages: Sequence[Message], info: ToolInfo) -> list[Message]:
    """The conversation behind an order to write arguments, and the tool's examples as turns.

    Turns were measured to do better than the same examples as one text, and both than none.
    """
    order = f"Write the arguments of the tool {info.name} as JSON. {info.description}"
    turns = [
        turn
        for example in info.examples[:_EXAMPLES_A_TOOL]
        for turn in (Message.user(example.text), _said(example.arguments))
    ]
    return _with_order(messages, order, turns)


def choice_prompt(
    messages: Sequence[Message], tools: Sequence[ToolInfo], *, answer: str | None
) -> list[Message]:
    """The conversation behind a list of tools; `answer` is the word for doing without one."""
    lines = [f"- {info.name}: {info.description}" for info in tools]
    lines += [] if answer is None else [f"- {answer}: No tool is needed."]
    turns: list[Message] = []
    for number in range(_EXAMPLES_A_TOOL):
        pairs = [
            (info.examples[number].text, info.name) for info in tools if number < len(info.examples)
        ]
        if answer is not None:
            pairs.insert(0, (_WITHOUT_TOOL[number], answer))
        for text, name in pairs:
            turns += [Message.user(text), _said(name)]
    order = "Choose what helps with the question:\n" + "\n".join(lines)
    return _with_order(messages, order, turns)


def _said(value: object) -> Message:
    return Message.assistant(json.dumps(value, ensure_ascii=False))


def _with_order(messages: Sequence[Message], order: str, turns: Sequence[Message]) -> list[Message]:
    """`order` joins the instructions at the beginning; `turns` stand before the conversation."""
    first, *rest = messages
    if first.role is Role.SYSTEM:
        return [replace(first, content=f"{first.content}\n\n{order}"), *turns, *rest]
    return [Message.system(order), *turns, *messages]


def in_words(messages: Sequence[Message]) -> tuple[Message, ...]:
    """`messages` with calls and their answers as text, which any template can show.

    A call is what the assistant said, the answers to it are one message of the user's.
    """
    if not any(one.tool_calls or one.role is Role.TOOL for one in messages):
        return tuple(messages)
    names = {call.id: call.function.name for one in messages for call in one.tool_calls}
    told: list[Message] = []
    in_answers = False
    for message in messages:
        if message.role is Role.TOOL:
            result = _result_in_words(message, names)
            if in_answers:
                last = told.pop()
                parts = (*last.user_input_multi_content, *result.user_input_multi_content)
                result = replace(
                    last,
                    content=f"{last.content}\n{result.content}",
                    user_input_multi_content=parts,
                )
            told.append(result)
        elif message.tool_calls:
            calls = "\n".join(map(_call_in_words, message.tool_calls))
            content = f"{message.content}\n{calls}" if message.content else calls
            told.append(replace(message, content=content, tool_calls=()))
        else:
            told.append(message)
        in_answers = message.role is Role.TOOL
    return tuple(told)


def asked_to_answer(messages: Sequence[Message]) -> tuple[Message, ...]:
    """`messages` in words, with an order to answer where a result is the last of them.

    Measured: without the order the small default model goes on about the form of the result.
    """
    told = in_words(messages)
    if not messages or messages[-1].role is not Role.TOOL:
        return told
    return (*told[:-1], replace(told[-1], content=f"{told[-1].content}\n{_ORDER_TO_ANSWER}"))


def _call_in_words(call: ToolCall) -> str:
    return f"{call.function.name}({call.function.arguments or '{}'})"


def _result_in_words(message: Message, names: Mapping[str, str]) -> Message:
    name = message.tool_name or names.get(message.tool_call_id) or "the tool"
    return Message(
        role=Role.USER,
        content=f"Result of {name}: {message.content}",
        user_input_multi_content=message.user_input_multi_content,
    )


def argument_schema(info: ToolInfo) -> dict[str, Any]:
    """The schema of a tool's arguments, every text in it with an end: a small model finds none."""
    schema = info.input_schema() or {"type": "object", "properties": {}}
    return cast("dict[str, Any]", _bounded({"additionalProperties": False, **schema}))


def _bounded(schema: Any) -> Any:
    items = schema  # a second name: type checkers do not agree on the first one's items
    if isinstance(schema, list):
        return [_bounded(one) for one in items]
    if not isinstance(schema, dict):
        return schema
    whole = cast("dict[str, Any]", schema)
    found = {
        key: _properties(value) if key in ("properties", "$defs") else _bounded(value)
        for key, value in whole.items()
        if key not in ("enum", "const", "default", "examples")
    }
    found |= {key: whole[key] for key in ("enum", "const") if key in whole}
    if whole.get("type") == "string" and not whole.keys() & {
        "enum",
        "const",
        "format",
        "pattern",
        "maxLength",
    }:
        found["maxLength"] = max(MAX_TEXT, int(whole.get("minLength", 0)))
    return found


def _properties(given: Any) -> Any:
    """Schemas by name: a name may be that of a keyword."""
    if not isinstance(given, dict):
        return given
    return {name: _bounded(one) for name, one in cast("dict[str, Any]", given).items()}
