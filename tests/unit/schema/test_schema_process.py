"""process_messages gives messages of its own and leaves those that came."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from pyeino.schema import FunctionCall, Message, Role, ToolCall, process_messages

_CALL = ToolCall(id="1", function=FunctionCall(name="f", arguments="{}"))
_MESSAGES = st.lists(
    st.builds(
        lambda content, extra: Message(
            role=Role.ASSISTANT,
            content=content,
            tool_calls=(_CALL,),
            extra=extra,
        ),
        st.text(max_size=20),
        st.dictionaries(st.text(max_size=3), st.lists(st.integers(), max_size=2), max_size=2),
    ),
    max_size=5,
)


@given(messages=_MESSAGES)
def test_g50_new_messages_come_out_and_the_given_ones_stay(messages: list[Message]) -> None:
    before = copy.deepcopy(messages)
    first = process_messages(messages, str.upper)
    second = process_messages(messages, str.upper)
    assert messages == before
    assert [message.content for message in first] == [m.content.upper() for m in messages]
    assert first == second
    for given_one, one, other in zip(messages, first, second, strict=True):
        assert len({id(given_one), id(one), id(other)}) == 3
        one.extra["leak"] = "of one request"
        assert "leak" not in given_one.extra
        assert "leak" not in other.extra
        assert one.tool_calls == given_one.tool_calls


def test_the_default_strips_surrounding_space() -> None:
    assert [m.content for m in process_messages([Message.user("  hi\n")])] == ["hi"]
