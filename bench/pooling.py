"""Why messages are not pooled: making one, beside taking a used one from a pool and resetting it.

    make bench WHAT=pooling [ARGS=--quick]

Four ways to a message with role and content, turn by turn in one process, ROUNDS times; the table
gives medians of nanoseconds of CPU for one message, and the bytes of one. `fresh` makes a frozen,
slotted Message; `pooled` takes an object that can be changed from a list, resets its fields and
puts it back (what the guide does); `pooled, locked` does so under a lock, which a pool for
several threads needs; `plain class` makes an object with a `__dict__`, for comparison.
"""

from __future__ import annotations

import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from pyeino.schema import Message, Role

QUICK = "--quick" in sys.argv
ROUNDS = 3 if QUICK else 15
COUNT = 2_000 if QUICK else 100_000


class Reused(msgspec.Struct, kw_only=True):
    """The fields of Message, changeable, as a pool needs them."""

    role: Role = Role.USER
    content: str = ""
    name: str = ""
    user_input_multi_content: tuple[Any, ...] = ()
    assistant_output_multi_content: tuple[Any, ...] = ()
    tool_calls: tuple[Any, ...] = ()
    tool_call_id: str = ""
    tool_name: str = ""
    reasoning_content: str = ""
    response_meta: Any = None
    extra: dict[str, Any] = {}


class Plain:
    def __init__(self, role: Role, content: str) -> None:
        self.role = role
        self.content = content
        self.name = self.tool_call_id = self.tool_name = self.reasoning_content = ""
        self.user_input_multi_content = self.assistant_output_multi_content = ()
        self.tool_calls = ()
        self.response_meta = None
        self.extra: dict[str, Any] = {}


POOL = [Reused() for _ in range(8)]
LOCK = threading.Lock()


def reset(one: Reused) -> None:
    """Everything that the last user may have left."""
    one.role = Role.USER
    one.content = one.name = one.tool_call_id = one.tool_name = one.reasoning_content = ""
    one.user_input_multi_content = one.assistant_output_multi_content = ()
    one.tool_calls = ()
    one.response_meta = None
    one.extra = {}


def fresh() -> None:
    for _ in range(COUNT):
        Message(role=Role.USER, content="hello")


def pooled() -> None:
    for _ in range(COUNT):
        one = POOL.pop()
        reset(one)
        one.content = "hello"
        POOL.append(one)


def pooled_locked() -> None:
    for _ in range(COUNT):
        with LOCK:
            one = POOL.pop()
        reset(one)
        one.content = "hello"
        with LOCK:
            POOL.append(one)


def plain() -> None:
    for _ in range(COUNT):
        Plain(Role.USER, "hello")


WAYS: dict[str, Callable[[], None]] = {
    "fresh": fresh,
    "pooled": pooled,
    "pooled, locked": pooled_locked,
    "plain class": plain,
}


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            began = time.process_time_ns()
            way()
            times[name].append((time.process_time_ns() - began) / COUNT)
    one = Plain(Role.USER, "hello")
    sizes = {
        "fresh": sys.getsizeof(Message(role=Role.USER, content="hello")),
        "plain class": sys.getsizeof(one) + sys.getsizeof(vars(one)),
    }
    print(f"Python {platform.python_version()}, msgspec {msgspec.__version__}, {ROUNDS} rounds\n")
    print("| way | ns of CPU, median (min-max) | to fresh | bytes |")
    print("|---|---|---|---|")
    base = statistics.median(times["fresh"])
    for name, found in times.items():
        median = statistics.median(found)
        spread = f"{median:.0f} ({min(found):.0f}-{max(found):.0f})"
        print(f"| {name} | {spread} | {median / base:.2f} | {sizes.get(name, '')} |")


if __name__ == "__main__":
    main()
