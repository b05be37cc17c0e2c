"""Turn: a request that was accepted, with everything decided about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET, UnsetType

from pyeino.components import ModelOptions
from pyeino.schema import Message
from pyeino.service._inputs import ChatInput, RAGInput, ToolInput
from pyeino.service._selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the selection graph is given: one question, its conversation and its chain."""

    user_id: str
    session_id: str
    message_id: str
    message: str
    messages: tuple[Message, ...]
    selection: Selection
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    tools: tuple[str, ...] = ()
    top_k: int | None = None
    score_threshold: float | UnsetType | None = UNSET
    model_options: ModelOptions | None = None

    def _common(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "session_id": self.session_id,
            "message_id": self.message_id,
            "message": self.message,
            "messages": self.messages,
            "context": self.context,
        }

    def to_chat_input(self) -> ChatInput:
        """The input of a chat chain."""
        return ChatInput(**self._common())

    def to_rag_input(self) -> RAGInput:
        """The input of a retrieval chain."""
        index = self.context.get("index")
        return RAGInput(
            **self._common(),
            index=index if isinstance(index, str) else "",
            documents=_strings_in(self.context.get("documents", ())),
            top_k=self.top_k,
            score_threshold=self.score_threshold,
        )

    def to_tool_input(self) -> ToolInput:
        """The input of a tool chain."""
        return ToolInput(**self._common(), tools=self.tools)


def _strings_in(names: Any) -> tuple[str, ...]:
    """The strings of a list out of JSON; one string alone counts as a list of one."""
    if isinstance(names, str):
        return (names,)
    return tuple(name for name in names if isinstance(name, str)) if _is_list(names) else ()


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
