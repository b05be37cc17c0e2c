"""ToolResult: what a tool answers when text alone is not enough."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pyeino.errors import ConcatError
from pyeino.schema._extra import concat_extra
from pyeino.schema._parts import InputPart, TextPart


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that a tool answers with; they go into a tool message's `user_input_multi_content`.

    Input parts serve for both: what a tool says is input to the model.
    """

    parts: tuple[InputPart, ...] = ()

    @classmethod
    def __concat__(cls, items: Sequence[ToolResult]) -> ToolResult:
        """Add up the chunks of one result: neighbouring texts are joined, with their extra.

        Each other kind may come in one chunk only, for two images of one result cannot be told
        from two pieces of one image: ConcatError. Several in one chunk are fine.
        """
        parts: list[InputPart] = []
        texts: list[TextPart] = []
        first_seen: dict[type[InputPart], int] = {}
        for number, item in enumerate(items):
            for part in item.parts:
                if isinstance(part, TextPart):
                    texts.append(part)
                    continue
                seen = first_seen.setdefault(type(part), number)
                if seen != number:
                    raise ConcatError(
                        f"conflicting {type(part).__name__}s in chunk {seen} and chunk {number}",
                        expected="one chunk with parts of this kind",
                        remedy="send media and tool lists whole, in one chunk",
                    )
                parts.extend(_joined(texts))
                texts = []
                parts.append(part)
        return cls(parts=(*parts, *_joined(texts)))


def _joined(texts: list[TextPart]) -> list[TextPart]:
    if len(texts) < 2:
        return texts
    text = "".join([part.text for part in texts])
    extra = concat_extra([part.extra for part in texts], where="parts.extra")
    return [TextPart(text=text, extra=extra)]
