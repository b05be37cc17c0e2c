"""Settings for a human's eyes: each key with its value (secrets masked) and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from pyeino.wiring._keys import all_keys
from pyeino.wiring._located import value_at
from pyeino.wiring._tree import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One key as `pyeino config show` prints it."""

    key: str
    value: str
    origin: str
    variable: str


def documented_settings() -> str:
    """A settings file as text: every key with its default and what it means."""
    return (resources.files("pyeino.wiring") / "config.yaml").read_text(encoding="utf-8")


def setting_rows(settings: Settings) -> list[SettingRow]:
    """Every key of `settings` in the order of the tree; `value` is JSON, secrets are masked."""
    return [
        SettingRow(
            key=path,
            value=key.shown(value_at(settings, path)),
            origin=settings.origins.get(path, "default"),
            variable=key.variable,
        )
        for path, key in all_keys().items()
    ]
