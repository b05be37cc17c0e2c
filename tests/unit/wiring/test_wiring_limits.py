"""What the settings say reaches the service's limits."""

from __future__ import annotations

import dataclasses

from pyeino.service import ServiceLimits
from pyeino.wiring import load_settings, service_limits


def test_the_defaults_agree() -> None:
    assert service_limits(load_settings(env={})) == ServiceLimits()


def test_every_setting_changes_its_limit() -> None:
    names = (
        *("message_bytes", "messages", "context_bytes", "history_messages"),
        *("max_tokens", "timeout", "active_runs"),
    )
    overrides = {f"limits.{name}": "7" for name in names}
    limits = service_limits(load_settings(env={}, overrides=overrides))
    changed = {
        field.name
        for field in dataclasses.fields(ServiceLimits)
        if getattr(limits, field.name) != getattr(ServiceLimits(), field.name)
    }
    assert changed == set(names)
