"""A tool loop: the model asks for tools until it can answer, as a graph with a way back.

    python examples/tool_loop.py

The model is scripted, so that the program needs no key; put any ChatModel in its place.
"""

import asyncio

from pyeino import END, ChatModel, Compiled, Graph, Message, ModelOptions, tool
from pyeino.compose import ToolsNode
from pyeino.testing import ScriptedChatModel, ScriptedReply

Conversation = list[Message]


@tool
def add(a: int, b: int) -> int:
    """Add two whole numbers.

    Args:
        a: The first number.
        b: The second number.
    """
    return a + b


@tool
async def weather(city: str) -> str:
    """Tell the weather of a city."""
    if city != "Oslo":
        raise LookupError(f"no weather for {city}; there is only Oslo")
    return "7 degrees and rain"


def build(model: ChatModel) -> Compiled[Conversation, Conversation]:
    node = ToolsNode([add, weather])

    async def ask(conversation: Conversation) -> Conversation:
        answer = await model.generate(conversation, options=ModelOptions(tools=node.infos))
        return [*conversation, answer]

    async def run_tools(conversation: Conversation) -> Conversation:
        # errors and unknown tools come back as answers, so that the model can try again
        return [*conversation, *await node.call(conversation[-1])]

    def wants_tools(conversation: Conversation) -> str:
        return "tools" if conversation[-1].tool_calls else END

    graph = Graph(Conversation, Conversation)
    model_step = graph.add("model", ask)
    tools_step = graph.add("tools", run_tools)
    graph.edge(graph.start, model_step)
    graph.branch(model_step, wants_tools, {"tools": tools_step, END: graph.end})
    graph.edge(tools_step, model_step)
    return graph.compile(name="tool_loop", max_steps=12)


async def main() -> None:
    model = ScriptedChatModel(
        ScriptedReply.calling(("add", {"a": 19, "b": 23}), ("weather", {"city": "Bergen"})),
        ScriptedReply.calling(("weather", {"city": "Oslo"})),
        "19 + 23 is 42, and Oslo has 7 degrees and rain.",
    )
    for message in await build(model).invoke([Message.user("Add 19 and 23. And the weather?")]):
        calls = ", ".join(call.function.name for call in message.tool_calls)
        print(f"{message.role}: {message.content or 'asks for ' + calls}")


if __name__ == "__main__":
    asyncio.run(main())
