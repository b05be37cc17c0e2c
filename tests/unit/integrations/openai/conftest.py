"""An endpoint and a model over a provider that a test controls."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from provider_kit import KEY, Upstream

from pyeino.integrations.openai import Endpoint, OpenAIChatModel, RetryPolicy


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    server = Upstream()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def endpoint(upstream: Upstream) -> AsyncIterator[Endpoint]:
    """An endpoint that tries twice more and does not wait; nothing of it is left at the end."""
    retry = RetryPolicy(max_retries=2, base_delay=0)
    async with Endpoint(upstream.url, api_key=KEY, retry=retry) as one:
        yield one
    await upstream.until_no_connection()


@pytest.fixture
def model(endpoint: Endpoint) -> OpenAIChatModel:
    return OpenAIChatModel("m-1", endpoint=endpoint)
