"""FileLoader: a file to documents by its suffix; and which files of a folder there are."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pyeino.components import DocumentSource, LoaderOptions, Parser, ParserOptions, TextParser
from pyeino.errors import NotFoundError, ValidationError
from pyeino.retrieval._parsers import MarkdownParser
from pyeino.schema import Document

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
MAX_FILES: Final = 20_000

PLAIN_PARSERS: Final[Mapping[str, Parser]] = MappingProxyType(
    {
        ".md": MarkdownParser(),
        ".markdown": MarkdownParser(),
        ".txt": TextParser(),
        ".text": TextParser(),
    }
)
"""What needs nothing installed; a loader may be given more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """The bytes of a file, and a digest of them."""

    data: bytes
    digest: str


class FileLoader:
    """Reads files of at most 32 MiB and parses them by their suffix with `parsers`.

    The uri of a source is a path. Files are read and parsed in a worker thread.
    """

    def __init__(self, *, parsers: Mapping[str, Parser] = PLAIN_PARSERS) -> None:
        self._parsers = {suffix.lower(): parser for suffix, parser in parsers.items()}

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes that can be read, sorted."""
        return tuple(sorted(self._parsers))

    def takes(self, path: Path) -> bool:
        """Whether there is a parser for files like this one."""
        return path.suffix.lower() in self._parsers

    async def load(
        self, source: DocumentSource, *, options: LoaderOptions | None = None
    ) -> list[Document]:
        """The documents of a file; NotFoundError, ValidationError or what its parser raises."""
        path = Path(source.uri)
        content = await self.read(path)
        return await self.parse(
            path, content.data, extra_metadata=options.extra_metadata if options else None
        )

    async def read(self, path: Path) -> FileContent:
        """The bytes of a file with their digest, without parsing them."""
        return await asyncio.to_thread(_read, path)

    async def parse(
        self, path: Path, data: bytes, *, extra_metadata: dict[str, object] | None = None
    ) -> list[Document]:
        """The documents in `data`, which came from `path`."""
        parser = self._parsers.get(path.suffix.lower())
        if parser is None:
            raise ValidationError(
                "UNSUPPORTED_FILE",
                f"Files like {path.name[-64:]!r} cannot be read",
                details=f"There are parsers for {', '.join(self.suffixes)}.",
                http_status=415,
            )
        options = ParserOptions(uri=str(path), extra_metadata=extra_metadata)
        return await asyncio.to_thread(parser.parse, data, options=options)


def find_files(root: Path, exclude: Sequence[str] = ()) -> list[Path]:
    """The files under `root` (itself when it is a file), sorted; hidden ones are left out.

    So are those whose path below `root` fits a pattern of `exclude`, as in a shell: `drafts/*`.
    Links to folders are not followed, and links to files only while they stay inside. Blocking.
    Raises NotFoundError FILE_NOT_FOUND, ValidationError TOO_MANY_FILES.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise NotFoundError(
            "FILE_NOT_FOUND",
            f"There is no file or folder {str(root)!r}",
            details="Give a path as it is seen from the current folder, or an absolute one.",
        )
    found: list[Path] = []
    for path in _walk(root):
        inside = path.relative_to(root).as_posix()
        if any(fnmatchcase(inside, pattern) for pattern in exclude):
            continue
        found.append(path)
        if len(found) > MAX_FILES:
            raise ValidationError(
                "TOO_MANY_FILES",
                f"There are more than {MAX_FILES} files",
                details="Ingest its folders one by one.",
                metadata={"max_files": MAX_FILES},
            )
    return sorted(found)


def _walk(root: Path) -> Iterator[Path]:
    inside = root.resolve()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(folder, name)
            if name.startswith(".") or not path.is_file():
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                continue
            yield path


def _read(path: Path) -> FileContent:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFoundError("FILE_NOT_FOUND", f"There is no file {path.name!r}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ValidationError(
            "FILE_TOO_LARGE",
            f"{path.name!r} is larger than {MAX_FILE_BYTES} bytes",
            details="Split it into smaller files.",
            http_status=413,
        )
    return FileContent(data=data, digest=hashlib.sha256(data).hexdigest())
