"""A model of your own, served: sessions, history, streams, limits and metrics come with it.

    cd examples && pyeino serve served_chain:answer

Anything with `generate` and `stream` is a ChatModel. This one turns the question around; put a
call to your own engine in its place.
"""

from collections.abc import AsyncIterator, Sequence

from pyeino import Chain, Message, ModelOptions, Stream


class ReversingModel:
    """Answers with the words of the last message in reverse order."""

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        return await self.stream(messages, options=options).concat()

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        return Stream.from_iterator(self._words(messages[-1].content))

    async def _words(self, text: str) -> AsyncIterator[Message]:
        for word in reversed(text.split()):
            yield Message.assistant(word + " ")


def conversation(messages: list[Message]) -> list[Message]:
    """The place for a system prompt, for trimming, for what the model should know."""
    return [Message.system("Reverse the words."), *messages]


answer = Chain(list[Message]).then(conversation).then(ReversingModel()).compile(name="reverse")
