"""What the settings say reaches the server's options."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pyeino.cli._exit import UsageError
from pyeino.cli._serve import further_chains, server_options
from pyeino.server import ServerOptions
from pyeino.wiring import load_settings

_CHANGED = {
    "server.host": "::1",
    "server.port": "1",
    "server.read_timeout": "2s",
    "server.write_timeout": "3s",
    "server.idle_timeout": "4s",
    "server.heartbeat": "5s",
    "server.drain_delay": "6s",
    "server.drain_timeout": "7s",
    "server.allowed_hosts": "a.example",
    "server.allowed_origins": "https://a.example",
    "limits.max_body_bytes": "2000",
    "limits.max_requests": "9",
    "limits.max_connections": "10",
    "metrics.path": "/m",
    "metrics.token": "k3Jx9Qm2Vb7Zp4Lw",
    "server.trusted_proxies": "10.0.0.1",
    "server.cors_origins": "https://a.example",
    "limits.requests_per_minute": "11",
    "limits.burst": "12",
    "limits.tokens_per_minute": "13",
    "llm.max_tokens": "14",
}


def test_the_defaults_agree() -> None:
    assert server_options(load_settings(env={})) == ServerOptions()


def test_every_setting_changes_its_option() -> None:
    options = server_options(load_settings(env={}, overrides=_CHANGED))
    defaults = ServerOptions()
    same = {
        field.name
        for field in dataclasses.fields(ServerOptions)
        if getattr(options, field.name) == getattr(defaults, field.name)
    }
    # Bounds that nobody has to set: they hold for every server.
    assert same == {"probe_timeout", "max_header_bytes", "socket_requests"}


def test_metrics_can_be_turned_off() -> None:
    options = server_options(load_settings(env={}, overrides={"metrics.enabled": "false"}))
    assert options.metrics_path is None


@pytest.mark.parametrize(
    "given",
    [["summary"], ["=app:x"], ["plain=app:x"], ["two words=app:x"], ["a=clichains:c"] * 2],
)
def test_a_chain_needs_a_name_of_its_own(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clichains.py").write_text(
        "from pyeino import Chain\nc = Chain(str).then(str.upper).compile()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="name=module:attribute"):
        further_chains(given)
    assert list(further_chains(["a=clichains:c"])) == ["a"]
