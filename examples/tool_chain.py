"""The ready tool chain: a model calls tools, ours and your own, until it can answer.

    python examples/tool_chain.py

The model is scripted, so that the program needs no key; put any ChatModel in its place.
"""

import asyncio

from pyeino import Message, tool
from pyeino.integrations.tools import calculator, clock
from pyeino.service import ToolInput, default_tool_chain
from pyeino.testing import ScriptedChatModel, ScriptedReply


@tool
async def weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: The name of a city, in English.
    """
    return f"12.5 °C and rain in {city}"


def ask(text: str) -> ToolInput:
    return ToolInput(
        user_id="ann",
        session_id="first",
        message_id="m1",
        message=text,
        messages=(Message.user(text),),
    )


async def main() -> None:
    model = ScriptedChatModel(
        # two calls at once, then one that needs what the first has told, then the answer
        ScriptedReply.calling(
            ("weather", {"city": "Oslo"}), ("calculator", {"expression": "1 / 0"})
        ),
        ScriptedReply.calling(("calculator", {"expression": "12.5 * 9 / 5 + 32"}), text="Hm. "),
        "It rains in Oslo, at 54.5 °F.",
    )
    chain = default_tool_chain(model, [calculator, clock, weather], max_rounds=4)
    async with chain.stream(ask("How warm is Oslo in Fahrenheit?")) as chunks:
        said = []
        async for chunk in chunks:
            print(chunk.content, end="", flush=True)
            said.append(chunk)
    print()
    for call in said[-1].extra["tool_calls"]:
        failed = f"  [{call['error']}]" if "error" in call else ""
        print(f"{call['name']}({call['arguments']}) -> {call['result']}{failed}")
    print(chain.draw())


if __name__ == "__main__":
    asyncio.run(main())
