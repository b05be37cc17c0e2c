"""The folder keeps what every store of files promises, and says what a disk does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyeino.errors import ExternalError, ValidationError
from pyeino.integrations.files import LocalBlobStore
from pyeino.stores import BlobStore
from pyeino.testing import BLOB_CHECKS, BlobCheck


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[BlobStore]:
    async with await LocalBlobStore.open(tmp_path / "storage") as store:
        yield store


@pytest.mark.parametrize("check", BLOB_CHECKS, ids=lambda check: check.__name__)
async def test_a_folder_keeps_its_promises(check: BlobCheck, blobs: BlobStore) -> None:
    await check(blobs)


async def test_files_are_the_owners_and_outlive_the_process(tmp_path: Path) -> None:
    async with await LocalBlobStore.open(tmp_path / "s", max_bytes=10) as store:
        await store.put("a/b", b"0123456789")
        with pytest.raises(ValidationError) as error:
            await store.put("a/b", b"0123456789x")
        assert (error.value.code, error.value.http_status) == ("BLOB_TOO_LARGE", 413)
    assert oct(os.stat(tmp_path / "s/files/a").st_mode)[-3:] == "700"
    assert oct(os.stat(tmp_path / "s/files/a/b.blob").st_mode)[-3:] == "600"
    async with await LocalBlobStore.open(tmp_path / "s") as store:
        assert await store.get("a/b") == b"0123456789"


async def test_what_a_dead_process_left_half_written_goes(tmp_path: Path) -> None:
    async with await LocalBlobStore.open(tmp_path / "s"):
        pass
    old, new = tmp_path / "s/unfinished/old", tmp_path / "s/unfinished/new"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 7_200,) * 2)
    async with await LocalBlobStore.open(tmp_path / "s") as store:
        assert (await store.list()).items == ()
    assert (old.exists(), new.exists()) == (False, True)


async def test_a_folder_that_cannot_be_one_is_told_when_opening(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ExternalError) as error:
        await LocalBlobStore.open(tmp_path / "file" / "below")
    assert error.value.code == "STORAGE_UNREACHABLE"
    assert "storage.url" in str(error.value.details)


# The kernel refuses to let any file of this process grow beyond a bound: a real write that fails
# half-way, as it does on a full disk (for which EFBIG and ENOSPC are told apart by nobody).
_ON_A_FULL_DISK = """
import asyncio, resource, signal, sys
from pyeino.errors import ExternalError
from pyeino.integrations.files import LocalBlobStore

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with await LocalBlobStore.open(sys.argv[1]) as store:
        await store.put("k", b"old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            await store.put("k", b"n" * 100_000)
        except ExternalError as error:
            assert (error.code, error.http_status) == ("STORAGE_FULL", 507), error.code
        else:
            raise SystemExit("the put succeeded")
        assert await store.get("k") == b"old"
        assert (await store.stat("k")).size == 3

asyncio.run(main())
"""


def test_a_full_disk_is_said_and_keeps_the_old_file(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list((folder / "unfinished").iterdir()) == []


async def test_a_folder_that_goes_away_is_an_error_and_no_empty_store(tmp_path: Path) -> None:
    async with await LocalBlobStore.open(tmp_path / "s") as store:
        await store.put("k", b"x")
        os.rename(tmp_path / "s", tmp_path / "t")
        (tmp_path / "s").write_bytes(b"in the way")
        for call in (store.put("k", b"y"), store.check(), store.get("k"), store.list()):
            with pytest.raises(ExternalError, match="cannot be used"):
                await call
