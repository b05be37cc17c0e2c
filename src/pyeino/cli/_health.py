"""pyeino health: is the server well? For container health checks and for people."""

from __future__ import annotations

import argparse
import http.client

import msgspec

from pyeino.cli._address import Address, address_of, own_address
from pyeino.cli._exit import ExitCode
from pyeino.cli._terminal import note, printable, say
from pyeino.errors import PyeinoError


class _Check(msgspec.Struct, frozen=True, kw_only=True):
    status: str = ""
    message: str = ""


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    status: str = ""
    checks: dict[str, _Check] = {}


class HealthError(PyeinoError):
    """The server did not answer, or said that it is not well."""

    default_code = "NOT_HEALTHY"


def health(arguments: argparse.Namespace) -> int:
    """Ask /health (or /ready) once; 0 when the answer is 200, else 1."""
    address = address_of(arguments.url) if arguments.url else _own(arguments)
    path = "/ready" if arguments.ready else "/health"
    status, body = ask(address, path, timeout=arguments.timeout)
    state = _state(body)
    if status == 200:
        say(f"{address}{path}: {state or 'ok'}")
        return ExitCode.OK
    note(f"pyeino: {address}{path} answered {status}" + (f": {state}" if state else ""))
    return ExitCode.FAILURE


def ask(address: Address, path: str, *, timeout: float) -> tuple[int, bytes]:
    """The status and body of one GET; HealthError when there is no answer within `timeout`."""
    connection = address.connect(timeout=timeout)
    try:
        connection.request("GET", f"{address.prefix}{path}", headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read(65_536)
    except (OSError, http.client.HTTPException) as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        raise HealthError(
            f"{address}{path} cannot be reached: {reason or type(error).__name__}",
            remedy="start the server with `pyeino serve`, or name another one with --url",
        ) from error
    finally:
        connection.close()


def _own(arguments: argparse.Namespace) -> Address:
    from pyeino.cli._settings import settings_from

    server = settings_from(arguments).server
    return own_address(server.host, server.port)


def _state(body: bytes) -> str:
    """What /ready says about what is not well: "not_ready (database: …)"."""
    try:
        report = msgspec.json.decode(body, type=_Report)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return ""  # not our server, or a proxy in front of it
    failed = [
        f"{name}: {check.message or check.status}"
        for name, check in report.checks.items()
        if check.status != "ok"
    ]
    return printable(f"{report.status} ({'; '.join(failed)})" if failed else report.status)
