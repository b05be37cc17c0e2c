"""Routes for those who watch over the server: alive, ready, measured."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec

from pyeino.errors import AppError
from pyeino.server._asgi import header
from pyeino.server._backend import Backend, Probe
from pyeino.server._exchange import Exchange

OPENMETRICS = "application/openmetrics-text"
_RETRY = ((b"retry-after", b"1"), (b"retry-after-ms", b"1000"))


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process is alive and its loop runs."""

    status: Literal["ok"] = "ok"


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one probe found; `message` is only there when it failed."""

    status: Literal["ok", "failed"]
    message: str | None = None


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests should be sent here, and what each probe found."""

    status: Literal["ready", "not_ready", "draining"]
    checks: dict[str, Check]


async def health(exchange: Exchange, _: None) -> None:
    """200 as long as the process can answer at all."""
    await exchange.reply_json(Health())


async def ready(exchange: Exchange, _: None) -> None:
    """200 when every probe passes; 503 otherwise, and while draining."""
    backend = exchange.backend
    names = list(backend.probes)
    found: list[Check] = await backend.readiness.run("probes", lambda: _check_all(backend, names))
    checks = dict(zip(names, found, strict=True))
    if backend.draining:
        report = Readiness(status="draining", checks=checks)
    elif all(check.status == "ok" for check in found):
        report = Readiness(status="ready", checks=checks)
    else:
        report = Readiness(status="not_ready", checks=checks)
    if report.status == "ready":
        await exchange.reply_json(report)
    else:
        await exchange.reply_json(report, status=503, headers=_RETRY)


async def metrics(exchange: Exchange, _: None) -> None:
    """Every metric of all processes that answer on this port, in Prometheus' text format.

    Whoever accepts OpenMetrics, as Prometheus does, gets that: it has exemplars, which name the
    trace of an observation.
    """
    openmetrics = OPENMETRICS in (header(exchange.scope, b"accept") or "")
    siblings = exchange.backend.siblings
    if siblings is None:
        body, media = exchange.backend.metrics.render(openmetrics=openmetrics)
    else:
        body, media = await siblings.scrape(openmetrics=openmetrics)
    await exchange.reply(body, media=media.encode("latin-1"))


async def _check_all(backend: Backend, names: Sequence[str]) -> list[Check]:
    return await asyncio.gather(*(_check(backend, backend.probes[name], name) for name in names))


async def _check(backend: Backend, probe: Probe, name: str) -> Check:
    limit = backend.options.probe_timeout
    try:
        async with asyncio.timeout(limit):
            await probe()
    except TimeoutError:
        return Check(status="failed", message=f"no answer within {limit:g} seconds")
    except AppError as error:
        return Check(status="failed", message=error.message)
    except Exception as error:  # noqa: BLE001 (any failure of a probe means "not ready")
        backend.logger.warn("Readiness probe failed", probe=name, error=error)
        return Check(status="failed", message="failed; the log has the reason")
    return Check(status="ok")
