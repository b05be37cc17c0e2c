"""Templates: messages with gaps, a place for the history, and what happens when a value is missing.

python examples/templates.py
"""

import asyncio

from pyeino import Chain, Message, PromptTemplate
from pyeino.components import MessagesPlaceholder
from pyeino.errors import TemplateError
from pyeino.testing import ScriptedChatModel

PROMPT = PromptTemplate.from_messages(
    ("system", "You help {user[name]} and answer in {language}."),
    MessagesPlaceholder("history", optional=True),
    ("user", "{question}"),
)


async def main() -> None:
    print("needs:", ", ".join(sorted(PROMPT.variables)))
    for message in PROMPT.format(
        {
            "user": {"name": "Ann"},
            "language": "English",
            "history": [Message.user("Hello."), Message.assistant("Hello, Ann.")],
            "question": "What was my first word?",
        }
    ):
        print(message)

    try:
        PROMPT.format({"user": {"name": "Ann"}, "question": "?"})
    except TemplateError as error:
        print("missing:", error)

    model = ScriptedChatModel("Your first word was hello.")
    chain = Chain(dict[str, object]).then(PROMPT).then(model).compile(name="templated")
    values: dict[str, object] = {"user": {"name": "Ann"}, "language": "English", "question": "?"}
    print((await chain.invoke(values)).content)


if __name__ == "__main__":
    asyncio.run(main())
