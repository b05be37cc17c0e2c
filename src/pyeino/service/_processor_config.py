"""ProcessorConfig: one configuration for the ready-made lambdas."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pyeino.errors import DeclarationError
from pyeino.monitoring import Logger, Metrics

_FENCE: Final = re.compile(r"^\s*(```+|~~~+)", re.MULTILINE)


def now_with_zone() -> datetime:
    """The time here and now, with its zone."""
    return datetime.now().astimezone()


def join_items(items: Sequence[str]) -> str:
    """The items one after the other."""
    return "".join(items)


def markdown_end(text: str) -> str:
    """What `text` lacks to be whole Markdown: the end of a fence that was left open."""
    opened = ""
    for mark in _FENCE.findall(text):
        if not opened:
            opened = mark
        elif mark.startswith(opened):
            opened = ""
    return f"{'' if text.endswith(chr(10)) else chr(10)}{opened}" if opened else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorConfig:
    """What the lambdas do, and what of it is put in by you.

    `add_context` puts `context_info` before a query, `add_instructions` puts `instructions`
    after it; `enhance` replaces that text as a whole: it takes the trimmed query.
    `add_markdown` closes a fence that an answer left open; `format` replaces it: it takes the
    whole answer, so that a stream is held back until its end. `add_meta_info` adds the time.
    `process_word` and `process_batch` are what the streaming and the batch processor do; they
    are called in the event loop.
    `buffer` (10) words are made ahead; `delay` (0) is seconds between words. A batch has at most
    `max_items` items and `max_bytes` bytes of UTF-8. Texts are logged by length only, unless
    `capture_content` is set. `clock` gives the time with a zone.
    """

    add_context: bool = False
    context_info: str = ""
    add_instructions: bool = False
    instructions: str = ""
    add_markdown: bool = False
    add_meta_info: bool = False
    enhance: Callable[[str], str] | None = None
    format: Callable[[str], str] | None = None
    process_word: Callable[[str], str] = str
    process_batch: Callable[[Sequence[str]], str] = join_items
    buffer: int = 10
    delay: float = 0.0
    max_items: int = 10_000
    max_bytes: int = 16 * 1024 * 1024
    capture_content: bool = False
    clock: Callable[[], datetime] = now_with_zone
    logger: Logger | None = None
    metrics: Metrics | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that nothing fits."""
        for name in ("buffer", "max_items", "max_bytes"):
            if getattr(self, name) < 1:
                raise DeclarationError(
                    f"{name} is out of range", expected="at least 1", found=f"{getattr(self, name)}"
                )
        if not 0 <= self.delay < float("inf"):
            raise DeclarationError(
                "delay is out of range", expected="0 or more seconds", found=str(self.delay)
            )

    def observe(self, processor: str, seconds: float) -> None:
        """Record how long a processor took."""
        if self.metrics is not None:
            self.metrics.observe_processing_latency(processor, seconds)
