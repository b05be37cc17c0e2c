"""create_query_processor: a question cleaned, and put in the words that a prompt wants."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from pyeino.compose import Lambda
from pyeino.errors import ValidationError
from pyeino.schema import Message
from pyeino.service._processor_config import ProcessorConfig
from pyeino.service._prompt import CONTEXT_RULE, mark_context

_LABEL: Final = re.compile(
    r"^(\s*)(context|query|instructions)(\s*):", re.IGNORECASE | re.MULTILINE
)


def create_query_processor(config: ProcessorConfig) -> Lambda[str, str]:
    """A lambda from a question to the text for a prompt.

    It trims the question; an empty one is a ValidationError EMPTY_QUERY. With `add_context` it
    gives a line "Context: …" and a line "Query: …", with `add_instructions` a last line
    "Instructions: …". A line of the question or of the context that begins with one of these
    labels gets "> " before it, so that a label at the beginning of a line is always ours.
    """

    async def process(query: str) -> str:
        with _Observed(config) as observed:
            cleaned = _cleaned(query)
            enhance = config.enhance
            enhanced = _enhanced(cleaned, config) if enhance is None else enhance(cleaned)
            observed.tell(query, enhanced)
            return enhanced

    return Lambda(invoke=process, type_name="QueryProcessor")


def create_query_messages(config: ProcessorConfig) -> Lambda[str, list[Message]]:
    """The same as messages: what may instruct a model, and what is data, stand apart.

    The instructions are a system message; the context is a block of marked data; the question,
    trimmed and through `enhance`, is the user's message.
    """

    async def process(query: str) -> list[Message]:
        with _Observed(config) as observed:
            cleaned = _cleaned(query)
            question = cleaned if config.enhance is None else config.enhance(cleaned)
            observed.tell(query, question)
            messages: list[Message] = []
            if config.add_instructions:
                messages.append(Message.system(config.instructions))
            if config.add_context:
                block = mark_context({"context": config.context_info})
                messages += [Message.system(CONTEXT_RULE), Message.user(block)]
            return [*messages, Message.user(question)]

    return Lambda(invoke=process, type_name="QueryProcessor")


class _Observed:
    """Measures one query in every outcome, and logs a good one."""

    def __init__(self, config: ProcessorConfig) -> None:
        self._config = config

    def __enter__(self) -> _Observed:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._config.observe("query_processor", time.perf_counter() - self._started)

    def tell(self, original: str, enhanced: str) -> None:
        config = self._config
        if config.logger is None:
            return
        fields: dict[str, Any] = {
            "original_length": len(original),
            "enhanced_length": len(enhanced),
        }
        if config.capture_content:
            fields |= {"original": original, "enhanced": enhanced}
        config.logger.debug("Query processed", **fields)


def _cleaned(query: str) -> str:
    cleaned = query.strip()
    if not cleaned:
        raise ValidationError(
            "EMPTY_QUERY", "empty query", details="Ask something.", metadata={"field": "query"}
        )
    return cleaned


def _enhanced(query: str, config: ProcessorConfig) -> str:
    text = query
    if config.add_context or config.add_instructions:
        text = _quoted(query)
    if config.add_context:
        text = f"Context: {_quoted(config.context_info)}\nQuery: {text}"
    if config.add_instructions:
        text = f"{text}\nInstructions: {config.instructions}"
    return text


def _quoted(text: str) -> str:
    return _LABEL.sub(r"\1> \2\3:", text)
