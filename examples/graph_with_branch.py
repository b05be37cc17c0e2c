"""A graph with a branch: sums are worked out here, everything else goes to a model.

    python examples/graph_with_branch.py

The model is scripted, so that the program needs no key; put any ChatModel in its place.
"""

import asyncio

from pyeino import Graph, Message
from pyeino.testing import ScriptedChatModel


def is_sum(text: str) -> str:
    """The branch: which node the question goes to."""
    return "sum" if text.replace("+", "").replace(" ", "").isdigit() else "ask"


def work_out(text: str) -> Message:
    total = sum(int(part) for part in text.split("+"))
    return Message.assistant(f"{text} = {total}")


def to_messages(text: str) -> list[Message]:
    return [Message.system("Answer in one sentence."), Message.user(text)]


def build() -> Graph[str, Message]:
    model = ScriptedChatModel("A stream is a value that comes in pieces.")
    graph = Graph(str, Message)
    total = graph.add("sum", work_out)
    ask = graph.add("ask", to_messages)
    chat = graph.add("chat", model)
    graph.branch(graph.start, is_sum, {"sum": total, "ask": ask})
    graph.edge(ask, chat)
    graph.edge(total, graph.end)
    graph.edge(chat, graph.end)
    return graph


async def main() -> None:
    app = build().compile(name="assistant")
    print((await app.invoke("19 + 23")).content)
    async with app.stream("What is a stream?") as chunks:
        async for chunk in chunks:
            print(chunk.content, end="", flush=True)
    print()
    print(app.draw())


if __name__ == "__main__":
    asyncio.run(main())
