"""Putting a file where it belongs: one at a time, checked, and whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pyeino.errors import ExternalError, InternalError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be, None when unknown."""

_BLOCK = 1024 * 1024
_POLL_SECONDS = 0.1
_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def locked(target: Path, *, while_waiting: Callable[[], None]) -> Generator[None]:
    """Hold the lock of `target`; while somebody else has it, thread or process, wait for it.

    `while_waiting` is called now and then, and ends the wait when it raises.
    """
    with folder_errors(target.parent, needed=None):
        target.parent.mkdir(parents=True, exist_ok=True)
        file = (target.parent / f".{target.name}.lock").open("a+b")
    with file:
        while not _try_lock(file):
            while_waiting()
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def folder_errors(folder: Path, *, needed: int | None) -> Generator[None]:
    """Turn a full disk, or a folder that cannot be written, into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _OUT_OF_SPACE:
            raise disk_full(folder, needed, cause=error) from error
        raise InternalError(
            "MODELS_FOLDER_FAILED",
            f"The models folder {folder} cannot be used ({error.strerror or error}); make it "
            "writable, or name another one in PYEINO_MODELS_DIR",
            metadata={"folder": str(folder)},
            cause=error,
        ) from error


def check_space(folder: Path, needed: int) -> None:
    """Raise InternalError DISK_FULL when `folder` has less than `needed` bytes left."""
    if needed > shutil.disk_usage(folder).free:
        raise disk_full(folder, needed, cause=None)


def disk_full(folder: Path, needed: int | None, *, cause: OSError | None) -> InternalError:
    """There is no room; names the folder and the bytes."""
    free = shutil.disk_usage(folder).free if folder.is_dir() else 0
    wanted = f"{needed} bytes" if needed is not None else "more room"
    return InternalError(
        "DISK_FULL",
        f"No room for the model in {folder}: it needs {wanted} and {free} bytes are free; make "
        "room, or name another folder in PYEINO_MODELS_DIR",
        metadata={"folder": str(folder), "needed_bytes": needed, "free_bytes": free},
        cause=cause,
        http_status=507,
    )


def digest(path: Path) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def place(part: Path, target: Path, *, sha256: str | None) -> None:
    """Move `part` to `target` in one step once its checksum holds; else it is deleted.

    Raises ExternalError CHECKSUM_MISMATCH.
    """
    if sha256 is not None and (found := digest(part)) != sha256:
        part.unlink()
        raise ExternalError(
            "CHECKSUM_MISMATCH",
            f"What was fetched for {target.name} is not what was promised: expected SHA-256 "
            f"{sha256}, found {found}; it was deleted. Try again, and check where it comes from",
            metadata={"expected": sha256, "found": found},
        )
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, target)
