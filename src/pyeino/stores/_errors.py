"""The errors that every implementation of a store raises in the same words."""

from __future__ import annotations

from pyeino.errors import InternalError, NotFoundError, ValidationError


def session_not_found() -> NotFoundError:
    """The one answer to an unknown session and to somebody else's.

    It names no id, so that both are equal byte for byte.
    """
    return NotFoundError("SESSION_NOT_FOUND", "There is no such session")


def message_not_found() -> NotFoundError:
    """The one answer to an unknown message and to somebody else's."""
    return NotFoundError("MESSAGE_NOT_FOUND", "There is no such message")


def session_exists() -> ValidationError:
    """The user already has a session of this id."""
    return ValidationError(
        "SESSION_EXISTS",
        "A session of this id exists already",
        details="Take another id, or none to be given one.",
        http_status=409,
    )


def message_exists() -> ValidationError:
    """The tenant already has a message of this id."""
    return ValidationError(
        "MESSAGE_EXISTS",
        "A message of this id exists already",
        details="Take another message id for each request.",
        http_status=409,
    )


def api_key_not_found() -> NotFoundError:
    """There is no API key of this prefix."""
    return NotFoundError(
        "API_KEY_NOT_FOUND",
        "There is no such API key",
        details="See the keys with `pyeino keys list`.",
    )


def api_key_exists() -> ValidationError:
    """The tenant already has an API key of this prefix."""
    return ValidationError(
        "API_KEY_EXISTS",
        "An API key of this prefix exists already",
        details="Make another one.",
        http_status=409,
    )


def invalid_argument(field: str, *, expected: str, found: str) -> ValidationError:
    """An argument that no store accepts, with its name."""
    return ValidationError(
        "INVALID_REQUEST",
        f"{field}: expected {expected}, found {found}",
        metadata={"field": field, "expected": expected, "found": found},
    )


def store_closed(name: str) -> InternalError:
    """The store `name` was used after its close."""
    return InternalError("STORE_CLOSED", f"The {name} is closed", http_status=503)


def queue_full(name: str, most: int) -> InternalError:
    """The queue holds as many messages as it may."""
    return InternalError(
        "QUEUE_FULL",
        f"The queue {name!r} holds as many messages as it may ({most})",
        details="Start more workers (`pyeino worker`), or wait until they have caught up.",
        metadata={"max_length": most},
        http_status=507,
    )


def blob_not_found() -> NotFoundError:
    """There is no file under this key."""
    return NotFoundError("BLOB_NOT_FOUND", "There is no such file in the storage")


def blob_too_large(size: int, most: int) -> ValidationError:
    """More bytes than one file of the storage may have."""
    return ValidationError(
        "BLOB_TOO_LARGE",
        f"A file may have {most} bytes at most, this one has {size}",
        details="Split it into smaller files.",
        metadata={"max_bytes": most},
        http_status=413,
    )
