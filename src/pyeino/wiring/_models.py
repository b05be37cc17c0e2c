"""The chat model that the settings name."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from pyeino.components import ChatModel, ModelInfo
from pyeino.monitoring import Metrics
from pyeino.wiring._tree import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenModel:
    """A model that answers, and what it is called."""

    model: ChatModel
    info: ModelInfo


async def open_model(settings: Settings, stack: AsyncExitStack, *, metrics: Metrics) -> OpenModel:
    """The model of `settings.llm`, closed by `stack`."""
    raise NotImplementedError
