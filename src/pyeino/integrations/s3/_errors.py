"""What an S3 service says as errors that say what to do.

ExternalError   503 STORAGE_UNREACHABLE  no answer, or an answer that is a failure
                503 STORAGE_REFUSED      wrong credentials, or no right to do it
                503 STORAGE_NO_BUCKET    the bucket is not there
"""

from __future__ import annotations

from pyeino.errors import AppError, ExternalError, MissingDependencyError
from pyeino.stores import blob_not_found

try:
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
except ImportError as error:
    raise MissingDependencyError("obstore", extra="s3") from error

KNOWN = (BaseError, OSError, PermissionError)


_NO_BUCKET = (
    "STORAGE_NO_BUCKET",
    "The bucket of the file storage is not there",
    "Make it, or name another one in storage.url.",
)
_REFUSED = (
    "STORAGE_REFUSED",
    "The file storage refuses this user",
    "Check the credentials of storage.url, and what they may do with the bucket.",
)
_UNREACHABLE = (
    "STORAGE_UNREACHABLE",
    "The file storage cannot be reached",
    "Check the endpoint and region of storage.url, and the network.",
)


def as_storage_error(error: Exception, *, where: str) -> AppError:
    """`error` with a remedy; the bucket stands in `where`, for the log."""
    known = _UNREACHABLE
    if "NoSuchBucket" in str(error):
        known = _NO_BUCKET
    elif isinstance(error, FileNotFoundError):
        return blob_not_found()
    elif isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError):
        known = _REFUSED
    code, message, remedy = known
    found = ExternalError(code, message, details=remedy, cause=error, http_status=503)
    found.where = where
    found.remedy = remedy
    found.add_note(f"storage: {where}")
    return found
