"""What every store of files has to pass.

@pytest.mark.parametrize("check", BLOB_CHECKS, ids=lambda check: check.__name__)
async def test_conformance(check, blobs):
    await check(blobs)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from pyeino.stores import BlobStore
from pyeino.testing._expect import expect, expect_equal, expect_error

BlobCheck = Callable[[BlobStore], Awaitable[None]]

_PATIENCE: Final = 30.0


async def _keys(blobs: BlobStore, prefix: str = "", *, limit: int = 100) -> list[str]:
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await blobs.list(prefix, limit=limit, cursor=cursor)
        found += [one.key for one in page.items]
        if page.cursor is None:
            return found
        expect_equal(len(page.items), limit, "only the last page is short")
        cursor = page.cursor


async def check_files_come_back(blobs: BlobStore) -> None:
    """What was put is what is got, byte for byte, whole and in pieces; putting again replaces."""
    files = {
        "plain.txt": b"value",
        "empty": b"",
        "deep/er/and deeper.md": b"\x00\xff" * 10,
        "Schlüssel/🌍 %41 100%.pdf": "ü".encode(),
        "large": bytes(range(256)) * 12_000,
        "-a/~b/#c?d&e=f+g": b"signs",
    }
    before = datetime.now(UTC) - timedelta(seconds=60)
    for key, data in files.items():
        info = await blobs.put(key, data)
        expect_equal((info.key, info.size), (key, len(data)), "put tells what is stored")
    for key, data in files.items():
        expect_equal(await blobs.get(key), data, f"the file {key!r} comes back")
        pieces: list[bytes] = []
        async with blobs.stream(key, chunk_bytes=50_000) as stream:
            async for piece in stream:
                pieces.append(piece)
        expect_equal(b"".join(pieces), data, "also in pieces")
        expect(all(pieces), "none of which is empty")
        info = await blobs.stat(key)
        expect_equal((info.key, info.size), (key, len(data)), "stat tells its size")
        expect(info.modified_at.tzinfo is not None, "and an aware time")
        expect(info.modified_at >= before, "that is when it was put")
    await blobs.put("plain.txt", b"other")
    expect_equal(await blobs.get("plain.txt"), b"other", "putting again replaces")


async def check_a_large_file_comes_in_pieces(blobs: BlobStore) -> None:
    """A stream gives a large file in several pieces, and may be closed before its end."""
    await blobs.put("large", b"x" * 3_000_000)
    async with blobs.stream("large", chunk_bytes=65_536) as stream:
        first = await anext(stream)
        expect(0 < len(first) < 3_000_000, "the first piece is not the whole file")
    expect_equal(len(await blobs.get("large")), 3_000_000, "leaving early harms nothing")


async def check_what_is_not_there(blobs: BlobStore) -> None:
    """A key without a file is said in the same words everywhere; deleting it is fine."""
    await blobs.put("a/b", b"x")
    await blobs.delete("a/b")
    await blobs.delete("a/b")
    await blobs.delete("never/was")
    for key in ("a/b", "never", "a", "a/b/c"):
        for call in (blobs.get(key), blobs.stat(key), blobs.stream(key).concat()):
            error = await expect_error(call, "BLOB_NOT_FOUND", "there is no such file")
            expect_equal(error.http_status, 404, "as not found")
        expect(not await blobs.exists(key), "and it does not exist")
    expect_equal(await _keys(blobs), [], "what was deleted is not listed")


async def check_keys_are_paths_inside(blobs: BlobStore) -> None:
    """No key leads out of the store, and two spellings of one text are one key."""
    await blobs.put("kept", b"x")
    half = "half \ud800"
    for key in ("", "/", "/etc/passwd", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", half):
        for call in (blobs.put(key, b"bad"), blobs.get(key), blobs.exists(key), blobs.delete(key)):
            await expect_error(call, "INVALID_REQUEST", f"the key {key[:9]!r} is refused")
    for key in ("a\\b", "a\nb", "zero\x00", "a\x7f", "k" * 121, "/".join(["part"] * 120)):
        await expect_error(blobs.put(key, b"bad"), "INVALID_REQUEST", "a bad key is refused")
    await expect_error(blobs.list("../x"), "INVALID_REQUEST", "so is a bad prefix")
    await blobs.put("caf\u00e9", b"1")
    await blobs.put("cafe\u0301", b"2")
    expect_equal(await blobs.get("caf\u00e9"), b"2", "composed and decomposed are one")
    await blobs.put("k" * 120, b"x")
    expect_equal(await _keys(blobs), ["caf\u00e9", "kept", "k" * 120], "nothing else was stored")


async def check_a_key_may_be_a_folder_too(blobs: BlobStore) -> None:
    """A file never stands in the way of a key below it, nor the other way round."""
    keys = ["a", "a/b", "a/b/c", "a.blob", "a.blob/x", "a%2Eblob/x", "a%2Eblob", "a%", "a%/b"]
    for key in keys:
        await blobs.put(key, key.encode())
    for key in keys:
        expect_equal(await blobs.get(key), key.encode(), f"{key!r} has a file of its own")
    expect_equal(sorted(await _keys(blobs)), sorted(keys), "each is listed under its own key")


async def check_listing(blobs: BlobStore) -> None:
    """A listing goes by key, page by page, and takes prefixes by whole parts."""
    keys = ["a", "a.b/x", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "ab/1", "b/z", "b/ä"]
    for key in reversed(keys):
        await blobs.put(key, b"x")
    for limit in (1, 2, 3, 100):
        expect_equal(await _keys(blobs, limit=limit), keys, f"all of them, {limit} a page")
    expect_equal(await _keys(blobs, "a"), ["a/1", "a/2/x", "a/2/y", "a/3"], "below a part")
    expect_equal(await _keys(blobs, "a/2", limit=1), ["a/2/x", "a/2/y"], "below two")
    expect_equal(await _keys(blobs, "a/2/x"), [], "nothing is below a file")
    expect_equal(await _keys(blobs, "none"), [], "nor below what is not there")
    for limit in (0, 501):
        await expect_error(blobs.list(limit=limit), "INVALID_REQUEST", "a bad limit is refused")
    await expect_error(blobs.list(cursor="\xff"), "INVALID_REQUEST", "so is a forged cursor")


async def check_puts_are_atomic(blobs: BlobStore) -> None:
    """Readers side by side with writers see one whole file or the other, never a mixture."""
    values = [bytes([letter]) * 200_000 for letter in b"abc"]
    await blobs.put("k", values[0])

    async def write() -> None:
        for turn in range(6):
            await blobs.put("k", values[turn % 3])

    async def read() -> None:
        for _ in range(6):
            expect(await blobs.get("k") in values, "a reader sees a whole file")
            whole = [piece async for piece in blobs.stream("k", chunk_bytes=30_000)]
            expect(b"".join(whole) in values, "a stream is of one put")

    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
        for work in (write, write, read, read):
            group.create_task(work())
    expect_equal(await _keys(blobs), ["k"], "nothing else is left")


async def check_cancelled_calls_leave_it_whole(blobs: BlobStore) -> None:
    """A put or a read that is cancelled at any moment leaves whole files and a usable store."""
    old, new = b"o" * 100_000, b"n" * 100_000
    await blobs.put("k", old)
    for turns in range(12):
        for call in (blobs.put("k", new), blobs.stream("k", chunk_bytes=9_999).concat()):
            task: asyncio.Task[object] = asyncio.ensure_future(call)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        expect(await blobs.get("k") in (old, new), "the file is whole")
    await blobs.put("after", b"x")
    expect_equal(await _keys(blobs), ["after", "k"], "nothing half-written is listed")


async def check_a_closed_store_says_so(blobs: BlobStore) -> None:
    """After close every call says STORE_CLOSED."""
    await blobs.put("k", b"x")
    await blobs.check()
    await blobs.close()
    await blobs.close()
    for call in (blobs.get("k"), blobs.put("k", b"y"), blobs.list(), blobs.check()):
        await expect_error(call, "STORE_CLOSED", "a closed store does nothing")


BLOB_CHECKS: Final[tuple[BlobCheck, ...]] = (
    check_files_come_back,
    check_a_large_file_comes_in_pieces,
    check_what_is_not_there,
    check_keys_are_paths_inside,
    check_a_key_may_be_a_folder_too,
    check_listing,
    check_puts_are_atomic,
    check_cancelled_calls_leave_it_whole,
    check_a_closed_store_says_so,
)
"""Every check; each wants a store that is empty and has room for some megabytes."""
