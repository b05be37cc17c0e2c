"""What the disk says as errors that say what to do.

ExternalError   507 STORAGE_FULL         no space left, or a quota or size limit reached
                503 STORAGE_REFUSED      this process may not use the folder
                503 STORAGE_UNREACHABLE  anything else that a disk may do
"""

from __future__ import annotations

import errno
from typing import Final

from pyeino.errors import ExternalError

_FULL = (
    "STORAGE_FULL",
    "The disk of the file storage is full",
    "Free some space on it, or name another folder in storage.url.",
    507,
)
_REFUSED = (
    "STORAGE_REFUSED",
    "The file storage may not be used",
    "Give this process read and write access to the folder of storage.url.",
    503,
)
_UNREACHABLE = (
    "STORAGE_UNREACHABLE",
    "The file storage cannot be used",
    "Check that storage.url names a folder, and the health of its disk.",
    503,
)
_BY_ERRNO: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _REFUSED,
    errno.EPERM: _REFUSED,
    errno.EROFS: _REFUSED,
}


def as_storage_error(error: OSError, *, where: str) -> ExternalError:
    """`error` with a remedy; the folder stands in `where`, for the log."""
    code, message, remedy, status = _BY_ERRNO.get(error.errno or 0, _UNREACHABLE)
    found = ExternalError(code, message, details=remedy, cause=error, http_status=status)
    found.where = where
    found.remedy = remedy
    found.add_note(f"storage: {where}")
    return found
