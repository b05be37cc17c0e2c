"""The suite of chat models on the real local model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pyeino.components import ModelOptions
from pyeino.integrations.llamacpp import LlamaCppModel
from pyeino.testing import CHAT_MODEL_CHECKS, ChatModelCheck, ChatModelSubject

pytestmark = pytest.mark.asyncio(loop_scope="module")
SLOTS = 2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(local_model: Path) -> AsyncIterator[LlamaCppModel]:
    """Two slots of 512 tokens: six calls at once have to wait in line."""
    async with await LlamaCppModel.load(local_model, slots=SLOTS, context=SLOTS * 512) as loaded:
        yield loaded


@pytest.mark.parametrize("check", CHAT_MODEL_CHECKS, ids=lambda check: check.__name__)
async def test_the_local_model_passes(check: ChatModelCheck, model: LlamaCppModel) -> None:
    async def until_idle() -> None:
        while model.active or model.free_slots < SLOTS:  # noqa: ASYNC110 - the engine has no event
            await asyncio.sleep(0.01)

    await check(
        ChatModelSubject(
            model=model,
            options=ModelOptions(temperature=0.0, seed=7, max_tokens=12),
            obeys=frozenset({"max_tokens", "stop", "tools"}),
            until_idle=until_idle,
        )
    )
