"""What schema a database has, and what this version of pyeino wants."""

from __future__ import annotations

from dataclasses import dataclass

from pyeino.integrations.sql._tables import REVISIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """`found` is "" for a database that holds nothing yet, or does not exist."""

    found: str
    wanted: str = REVISIONS[-1]

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to migrate."""
        return self.found == self.wanted
