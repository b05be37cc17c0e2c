"""Two replicas of `pyeino serve` on one Redis: what one has answered, the other gives again."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from service_kit import Served, Start

HITS = 'eino_cache_hits_total{cache_type="chat"}'
MISSES = 'eino_cache_misses_total{cache_type="chat"}'


def _ask(served: Served) -> Any:
    request = urllib.request.Request(
        f"{served.url}/api/v1/chat",
        json.dumps(
            {"user_id": "ann", "message": "Say one word.", "options": {"max_tokens": 8}}
        ).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=100) as answer:
        return json.load(answer)


def test_replicas_share_answers_at_temperature_0(start: Start, redis_url: str) -> None:
    settings = {
        "REDIS_URL": redis_url,
        "PYEINO_CACHE__ENABLED": "true",
        "PYEINO_LLM__TEMPERATURE": "0",
    }
    one, other = start(**settings), start(**settings)
    first = _ask(one)
    assert (one.metric(HITS), one.metric(MISSES)) == (0, 1)
    second = _ask(other)
    assert (other.metric(HITS), other.metric(MISSES)) == (1, 0)
    assert second["content"] == first["content"]
    assert other.metric('eino_cache_hit_rate{cache_type="chat"}') == 1
    assert "redis" in other.read("/ready")
