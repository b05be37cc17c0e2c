"""What is wrong with the settings: every problem at once, each with where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from pyeino.errors import PyeinoError


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingProblem:
    """One setting that cannot be used: its key, value (masked), origin, and how to mend it.

    `origin` is "file:line", "environment NAME" or the flag that gave the value.
    """

    key: str
    origin: str
    message: str
    remedy: str
    value: str = ""

    def __str__(self) -> str:
        found = f" = {self.value}" if self.value else ""
        return f"{self.key}{found} (from {self.origin}): {self.message}. {self.remedy}"


class SettingsError(PyeinoError):
    """The settings were refused; `problems` holds every reason, not just the first."""

    default_code = "SETTINGS_ERROR"

    def __init__(self, problems: tuple[SettingProblem, ...]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {number}. {problem}" for number, problem in enumerate(problems, 1))
        super().__init__(f"{count} in the settings:{lines}")
        self.problems = problems
