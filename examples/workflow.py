"""A workflow: nodes say which fields they need of whom, and run as soon as those are there.

    python examples/workflow.py

The same workflow is served beside the chains of the server, and picked by `options.chain`:

    cd examples && pyeino serve --chain desk=workflow:desk

A question goes to two nodes that do not wait for each other; the answer is put together out of
both, and is streamed word by word.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pyeino import START, WHOLE, Workflow
from pyeino.service import ChatInput

HOURS = {"oslo": "nine to five", "bergen": "ten to four"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    user: str
    town: str
    hours: str = "not known to us"
    signature: str


def find_town(message: str) -> str:
    return next((town for town in HOURS if town in message.lower()), "")


def is_known(town: str) -> str:
    return "hours" if town else "write"


def look_up(town: str) -> str:
    return HOURS[town]


async def write(facts: Facts) -> AsyncIterator[str]:
    town = facts.town.title() or "this town"
    text = f"Dear {facts.user}, our hours in {town} are {facts.hours}. {facts.signature}"
    for word in text.split(" "):
        yield word + " "


def build() -> Workflow[ChatInput, str]:
    workflow = Workflow(ChatInput, str)
    town = workflow.add("town", find_town).input(START, {"message": WHOLE})
    hours = workflow.add("hours", look_up).input(town, control=False)
    letter = workflow.add("write", write)
    # data by field, from three places; the last of them may have been skipped
    letter.input(START, {"user_id": "user"}, control=False)
    letter.input(town, {WHOLE: "town"}, control=False)
    letter.input(hours, {WHOLE: "hours"})
    letter.value("signature", "The desk")
    # control: `hours` runs only for a town that is known
    town.branch(is_known, {"hours": hours, "write": letter})
    workflow.end().input(letter)
    return workflow


desk = build().compile(name="desk")


async def main() -> None:
    for message in ("When do you open in Oslo?", "When do you open?"):
        question = ChatInput(
            user_id="Ann", session_id="s", message_id="m", message=message, messages=()
        )
        async with desk.stream(question) as words:
            async for word in words:
                print(word, end="")
        print()
    print(desk.explain())


if __name__ == "__main__":
    asyncio.run(main())
