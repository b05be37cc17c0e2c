"""What an ingestion says of itself, while it runs and at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyeino.stores import IndexedDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestProgress:
    """How far an ingestion is: `done` of `total` files, and the one that it is at."""

    done: int
    total: int
    source: str


@dataclass(slots=True, kw_only=True)
class IngestReport:
    """What an ingestion did, by document; `passages` is how many the documents have together.

    `skipped` are files without a parser; `failed` are files that could not be read, with the
    reason: what was known of them stays.
    """

    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    skipped: list[str] = field(default_factory=list[str])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    passages: int = 0
    embedded: int = 0

    def leave(self, source: str, *, before: IndexedDocument | None) -> None:
        """Nothing has changed in this document."""
        self.unchanged.append(source)
        self.passages += before.passages if before else 0

    def fail(self, source: str, reason: str, *, before: IndexedDocument | None) -> None:
        """It could not be read: what was known of it stays."""
        self.failed[source] = reason
        self.passages += before.passages if before else 0

    def store(
        self, source: str, *, before: IndexedDocument | None, passages: int, embedded: int
    ) -> None:
        """It is in the index now."""
        (self.changed if before else self.added).append(source)
        self.passages += passages
        self.embedded += embedded

    def sort(self) -> None:
        """Put every list in order of name: files are read side by side."""
        for names in (self.added, self.changed, self.unchanged, self.removed, self.skipped):
            names.sort()
