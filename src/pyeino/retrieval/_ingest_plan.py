"""What an ingestion has to do: which files there are, and what the index knows of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyeino.retrieval._files import FileLoader, find_files
from pyeino.stores import IndexedDocument, PassageStore


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file to be read, how it is called, and what the index knows of it."""

    path: Path
    source: str = field(kw_only=True)
    location: str = field(kw_only=True)
    before: IndexedDocument | None = field(kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestPlan:
    """The files that can be read, those that cannot, and what the index has and nobody else."""

    readable: Sequence[PlannedFile]
    skipped: Sequence[str]
    gone: Sequence[IndexedDocument]
    under: str

    @property
    def total(self) -> int:
        """How many files there are."""
        return len(self.readable) + len(self.skipped)


async def plan_ingest(
    path: str | Path,
    *,
    store: PassageStore,
    loader: FileLoader,
    index: str,
    origin: str,
    exclude: Sequence[str] = (),
) -> IngestPlan:
    """What brings `index` in line with `path`; NotFoundError FILE_NOT_FOUND when there is none."""
    root = Path(path)
    files = await asyncio.to_thread(find_files, root, exclude)
    place = await asyncio.to_thread(Place.of, root, origin)
    stored = await store.documents(index=index, under=place.under)
    known = {one.location: one for one in stored if place.holds(one.location)}
    skipped: list[str] = []
    readable: list[PlannedFile] = []
    for file in files:
        source, location = place.names(file)
        if loader.takes(file):
            before = known.pop(location, None)
            readable.append(PlannedFile(file, source=source, location=location, before=before))
        else:
            skipped.append(source)
    return IngestPlan(
        readable=readable, skipped=skipped, gone=tuple(known.values()), under=place.under
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How the files of one ingestion are called: by location within, by source for readers."""

    root: Path
    folder: Path
    under: str
    single: bool

    @classmethod
    def of(cls, root: Path, origin: str) -> Place:
        whole = root.resolve()
        single = not whole.is_dir()
        folder = whole.parent if single else whole
        beginning = f"{origin}:" if origin else f"{folder.as_posix().rstrip('/')}/"
        under = f"{beginning}{whole.name}" if single else beginning
        return cls(root=root, folder=folder, under=under, single=single)

    def holds(self, location: str) -> bool:
        """Whether a known document is one of those that this ingestion answers for."""
        return location == self.under if self.single else True

    def names(self, file: Path) -> tuple[str, str]:
        """Source and location of a file."""
        inside = file.name if self.single else file.relative_to(self.root).as_posix()
        source = f"{self.folder.name}/{inside}" if self.folder.name else inside
        return source, self.under if self.single else f"{self.under}{inside}"
