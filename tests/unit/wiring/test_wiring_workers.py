"""What several workers need, and the model that they ask in another process."""

from __future__ import annotations

import socket
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from pyeino.cli._orders import Order
from pyeino.monitoring import Metrics, StructuredLogger
from pyeino.wiring import ModelAddress, Settings, SettingsError, build, load_settings, serve_model

REDIS = {"redis.url": "redis://127.0.0.1:6379/0"}


def _refused(**overrides: str) -> tuple[str, str]:
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    with pytest.raises(SettingsError) as error:
        load_settings(env={}, overrides={"server.workers": "2", **given})
    (problem,) = error.value.problems
    assert problem.key == "server.workers"
    return problem.message, problem.remedy


def test_workers_without_a_shared_place_are_refused_with_a_remedy() -> None:
    message, remedy = _refused()
    assert "limits and the cache" in message
    assert "redis.url (REDIS_URL)" in remedy


def test_workers_with_a_database_each_are_refused_with_a_remedy() -> None:
    message, remedy = _refused(**REDIS, database__url="sqlite:///:memory:")
    assert "a database of its own in memory" in message
    assert "PostgreSQL" in remedy


@pytest.mark.parametrize("count", ["0", "65", "many"])
def test_the_number_of_workers_is_bounded(count: str) -> None:
    with pytest.raises(SettingsError, match=r"server\.workers"):
        load_settings(env={}, overrides={"server.workers": count, **REDIS})


def test_a_worker_gets_the_very_settings_of_the_parent() -> None:
    settings = load_settings(
        env={"PYEINO_LLM__API_KEY": "sk-1", "DATABASE_URL": "postgres://a:b@c/d"},
        overrides={
            **REDIS,
            "server.workers": "2",
            "llm.provider": "openai",
            "llm.model": "m",
            "llm.extra": {"a": [1, {"b": None}], "c": 0.5},
            "server.trusted_proxies": "10.0.0.1,10.1.0.0/16",
            "tracing.headers": {"x-key": "v"},
        },
    )
    order = Order(role="worker", number=1, settings=settings, listener=7, further=("a=b:c",))
    assert Order.decode(order.encode()) == order
    assert msgspec.structs.asdict(Order.decode(order.encode()).settings) == msgspec.structs.asdict(
        settings
    )
    assert isinstance(Order.decode(order.encode()).settings, Settings)


async def test_what_is_built_asks_the_model_of_another_process(
    tmp_path: Path, local_model: Path
) -> None:
    settings = load_settings(
        env={},
        overrides={
            "database.url": f"sqlite:///{tmp_path}/db",
            "rag.embedding.provider": "none",
            "llm.max_tokens": "4",
        },
    )
    logger, metrics = StructuredLogger(), Metrics()
    with tempfile.TemporaryDirectory(prefix="ms") as folder, socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{folder}/s")
        door.listen()
        door.setblocking(False)
        address = ModelAddress(path=f"{folder}/s", key=b"k")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                serve_model(settings, door, key=b"k", metrics=metrics, logger=logger)
            )
            application = await stack.enter_async_context(
                build(settings, logger=logger, model_address=address)
            )
            assert application.service.models[0].provider == "llamacpp"
            await application.probes["model"]()
            # The queue of the model is counted once, where the model is.
            assert b'queue_name="model"' not in application.metrics.render()[0]
            assert b'queue_name="model"' in metrics.render()[0]
    logger.close()
