"""Where the file of a key lies: readable by people, and no two keys in each other's way.

A key's folders keep their names, its file gets the suffix `.blob`; so `a` and `a/b` can both be
there. What looks like that suffix on a folder, and the sign `%` itself, is escaped. The file system
has to tell capitals from small letters.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_SUFFIX: Final = ".blob"
_ESCAPED_SUFFIX: Final = "%2Eblob"


def path_of(root: Path, key: str) -> Path:
    """The file of a normal key."""
    *folders, name = key.split("/")
    return root.joinpath(*map(_folder, folders), _escape(name) + _SUFFIX)


def within(root: Path, prefix: str) -> Path:
    """The folder of the keys below a normal prefix; `root` for ""."""
    return root.joinpath(*map(_folder, prefix.split("/"))) if prefix else root


def segment_of(name: str, *, folder: bool) -> str | None:
    """The part of a key that a folder or file of this name stands for; None when it is not ours."""
    if folder:
        part = f"{name[: -len(_ESCAPED_SUFFIX)]}{_SUFFIX}" if name.endswith("%2Eblob") else name
    elif name.endswith(_SUFFIX):
        part = name[: -len(_SUFFIX)]
    else:
        return None
    return part.replace("%25", "%")


def _folder(part: str) -> str:
    escaped = _escape(part)
    if escaped.endswith(_SUFFIX):
        return escaped[: -len(_SUFFIX)] + _ESCAPED_SUFFIX
    return escaped


def _escape(part: str) -> str:
    return part.replace("%", "%25")
