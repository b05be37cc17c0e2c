"""What the disk says as errors that say what to do.

ExternalError   507 STORAGE_FULL         no space left, or a quota or size limit reached
                503 STORAGE_REFUSED      this process may not use the folder
                503 STORAGE_UNREACHABLE  anything else that a disk may do
"""

from __future__ import annotations

import errno
from typing import Final

from pyeino.errors import ExternalError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


def as_storage_error(error: OSError, *, where: str) -> ExternalError:
    """`error` with a remedy; the folder stands in `where`, for the log."""
    if error.errno in _FULL:
        code, message, status = "STORAGE_FULL", "The disk of the file storage is full", 507
        remedy = "Free some space on it, or name another folder in storage.url."
    elif error.errno in _REFUSED:
        code, message, status = "STORAGE_REFUSED", "The file storage may not be used", 503
        remedy = "Give this process read and write access to the folder of storage.url."
    else:
        code, message, status = "STORAGE_UNREACHABLE", "The file storage cannot be used", 503
        remedy = "Check that storage.url names a folder, and the health of its disk."
    found = ExternalError(code, message, details=remedy, cause=error, http_status=status)
    found.where = where
    found.remedy = remedy
    found.add_note(f"storage: {where}")
    return found
