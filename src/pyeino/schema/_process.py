"""process_messages: the guide's pass over a list of messages."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import msgspec

from pyeino.schema._message import Message


def process_messages(
    messages: Iterable[Message], process: Callable[[str], str] = str.strip
) -> list[Message]:
    """New messages whose content is `process(content)`; everything else is as it was.

    The messages that were given stay as they are and share nothing that can be changed with the
    new ones. `process` strips surrounding space by default.
    """
    return [
        msgspec.structs.replace(
            message, content=process(message.content), extra=copy.deepcopy(message.extra)
        )
        for message in messages
    ]
