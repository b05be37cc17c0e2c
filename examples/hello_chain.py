"""A chain that streams: a prompt, then the small local model (fetched once, about 93 MB).

python examples/hello_chain.py
"""

import asyncio

from pyeino import Chain, PromptTemplate
from pyeino.integrations.llamacpp import open_default_model


async def main() -> None:
    prompt = PromptTemplate.from_messages(("system", "Answer briefly."), ("user", "{question}"))
    async with open_default_model() as model:
        chain = Chain(dict[str, str]).then(prompt).then(model).compile(name="hello")
        async with chain.stream({"question": "What is a river?"}) as chunks:
            async for chunk in chunks:
                print(chunk.content, end="", flush=True)


asyncio.run(main())
