"""What a store of files promises, whatever it is built on."""

from __future__ import annotations

import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

import msgspec

from pyeino.stores._errors import invalid_argument
from pyeino.stores._records import Page
from pyeino.streams import Stream

MAX_BLOB_BYTES: Final = 64 * 1024 * 1024
MAX_BLOB_KEY_BYTES: Final = 512
_MAX_SEGMENT_BYTES: Final = 120
_CHUNK: Final = 65_536


class BlobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A stored file: its key, its size in bytes, and when it was put."""

    key: str
    size: int
    modified_at: datetime


@runtime_checkable
class BlobStore(Protocol):
    """Files by key; a key is a path below the store's root, such as `documents/default/a.md`.

    Keys have 1 to 512 bytes of UTF-8 in parts of at most 120 bytes, joined by `/`; no part is
    empty, `.` or `..`, none holds a backslash or a control character: ValidationError
    INVALID_REQUEST. Two spellings of one text (Unicode normalisation) are one key. A put is
    atomic: readers see the whole file as it was or the whole file as it is; a put that raised, or
    was cancelled before it began, has left the old one. Calls may run side by side. A store in
    trouble raises ExternalError (STORAGE_UNREACHABLE, STORAGE_REFUSED, STORAGE_FULL).
    """

    async def put(self, key: str, data: bytes) -> BlobInfo:
        """Keep `data` under `key`, over what is there.

        ValidationError BLOB_TOO_LARGE (413) beyond the store's bound, 64 MiB by default.
        """
        ...

    async def get(self, key: str) -> bytes:
        """The whole file; NotFoundError BLOB_NOT_FOUND."""
        ...

    def stream(self, key: str, *, chunk_bytes: int = _CHUNK) -> Stream[bytes]:
        """The file piece by piece, none empty; the caller closes the stream.

        NotFoundError BLOB_NOT_FOUND at the first read. All pieces are of one put, even when the
        file is replaced meanwhile.
        """
        ...

    async def stat(self, key: str) -> BlobInfo:
        """What is known of the file without reading it; NotFoundError BLOB_NOT_FOUND."""
        ...

    async def exists(self, key: str) -> bool:
        """Whether there is a file under `key`."""
        ...

    async def list(
        self, prefix: str = "", *, limit: int = 100, cursor: str | None = None
    ) -> Page[BlobInfo]:
        """Files below `prefix` by key, `limit` (1..500) a page.

        `prefix` is whole parts: `a/b` holds `a/b/c`, not `a/bc`, and not `a/b` itself; "" is
        everything. A walk over all pages meets each file that was there throughout exactly once.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove the file; nothing happens when there is none."""
        ...

    async def check(self) -> None:
        """Return when the store can be used; for a readiness probe."""
        ...

    async def close(self) -> None:
        """Let nobody use this object any more. Closing twice is fine."""
        ...


def normal_key(key: str) -> str:
    """`key` as every store uses it; ValidationError INVALID_REQUEST when none takes it."""
    try:
        normal = unicodedata.normalize("NFC", key)
        sizes = [len(part.encode("utf-8")) for part in normal.split("/")]
    except UnicodeEncodeError:
        raise invalid_argument("key", expected="valid Unicode", found="half a character") from None
    expected = "parts joined by '/', none empty, '.' or '..', without control characters"
    if any(part in ("", ".", "..") for part in normal.split("/")):
        raise invalid_argument("key", expected=expected, found=repr(key[:80]))
    if "\\" in normal or any(ord(one) < 32 or ord(one) == 127 for one in normal):
        raise invalid_argument("key", expected=expected, found=repr(key[:80]))
    if max(sizes) > _MAX_SEGMENT_BYTES or sum(sizes) + len(sizes) - 1 > MAX_BLOB_KEY_BYTES:
        raise invalid_argument(
            "key",
            expected=f"at most {MAX_BLOB_KEY_BYTES} bytes, {_MAX_SEGMENT_BYTES} in a part",
            found=f"{sum(sizes)} bytes, {max(sizes)} in a part",
        )
    return normal


def encode_blob_cursor(key: str) -> str:
    """The cursor after the file under `key`."""
    return urlsafe_b64encode(key.encode()).rstrip(b"=").decode()


def decode_blob_cursor(cursor: str) -> str:
    """The key of the last file of the page before; ValidationError when forged."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        return raw.decode("utf-8")
    except (Base64Error, UnicodeError):
        raise invalid_argument(
            "cursor", expected="a cursor of the page before", found="other text"
        ) from None
