"""Secrets that still hold the placeholder of an example file."""

from __future__ import annotations

from collections.abc import Iterator

from pyeino.wiring._keys import all_keys
from pyeino.wiring._problem import SettingProblem
from pyeino.wiring._tree import Settings

PLACEHOLDER = "REPLACE-ME"
"""What stands for a secret in the files that we ship (k8s/secrets.yaml)."""


def check_placeholders(settings: Settings) -> Iterator[SettingProblem]:
    """A problem for each secret that somebody forgot to fill in: all the world knows its value."""
    for path, key in all_keys().items():
        value: object = settings
        for name in path.split("."):
            value = getattr(value, name)
        if key.is_secret and PLACEHOLDER in str(value):
            yield SettingProblem(
                key=path,
                value=key.shown(value),
                origin=settings.origins.get(path, "default"),
                message=f"still the placeholder {PLACEHOLDER} of the example file",
                remedy="Put a secret of your own there; docs/deployment.md says how to make one",
            )
