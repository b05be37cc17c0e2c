"""A transform: a node that takes a stream and gives a stream, sentence by sentence.

    python examples/streaming_transform.py

The model streams words; the node hands a sentence on as soon as it is whole, long before the
answer has ended. `stream(...).concat()` adds the chunks up; `invoke` would hand whole values from
node to node, so that the second node would see one line.
"""

import asyncio
from collections.abc import AsyncIterator

from pyeino import Chain, Message, Stream
from pyeino.testing import ScriptedChatModel

ANSWER = "Rivers flow downhill. They carry sand. In the end they reach the sea."


async def sentences(chunks: Stream[Message]) -> AsyncIterator[str]:
    """Words in, sentences out."""
    begun = ""
    async for chunk in chunks:
        begun += chunk.content
        while ". " in begun:
            sentence, begun = begun.split(". ", 1)
            yield sentence + "."
    if begun:
        yield begun


async def number(lines: Stream[str]) -> AsyncIterator[str]:
    """A second transform behind the first: nothing waits for the end in between."""
    count = 0
    async for line in lines:
        count += 1
        yield f"{count}. {line}\n"


async def main() -> None:
    model = ScriptedChatModel(ANSWER)
    chain = Chain(list[Message]).then(model).then(sentences).then(number).compile(name="sentences")
    question = [Message.user("What does a river do?")]
    async with chain.stream(question) as lines:
        async for line in lines:
            print(line, end="", flush=True)
    whole = await chain.stream(question).concat()
    print(f"whole: {len(whole.splitlines())} lines")


if __name__ == "__main__":
    asyncio.run(main())
