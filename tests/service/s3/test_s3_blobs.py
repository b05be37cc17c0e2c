"""Files in a bucket keep the same promises as files in a folder, on a real server over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from s3_kit import S3Server, start_s3

from pyeino.errors import ExternalError, ValidationError
from pyeino.integrations.s3 import S3Address, S3BlobStore
from pyeino.stores import BlobStore
from pyeino.testing import BLOB_CHECKS, BlobCheck


@pytest.fixture(params=["", "some/where"], ids=["bucket", "prefix"])
async def blobs(request: pytest.FixtureRequest, s3_server: S3Server) -> AsyncIterator[BlobStore]:
    url = s3_server.url(s3_server.make_bucket(), prefix=request.param)
    async with await S3BlobStore.open(url) as store:
        yield store


@pytest.mark.parametrize("check", BLOB_CHECKS, ids=lambda check: check.__name__)
async def test_a_bucket_keeps_its_promises(check: BlobCheck, blobs: BlobStore) -> None:
    await check(blobs)


async def test_prefixes_are_apart(s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket()
    async with (
        await S3BlobStore.open(s3_server.url(bucket, prefix="a"), max_bytes=3) as one,
        await S3BlobStore.open(s3_server.url(bucket, prefix="ab")) as other,
        await S3BlobStore.open(s3_server.url(bucket)) as whole,
    ):
        await one.put("k", b"one")
        await other.put("k", b"two")
        assert (await one.get("k"), await other.get("k")) == (b"one", b"two")
        assert [info.key for info in (await whole.list()).items] == ["a/k", "ab/k"]
        with pytest.raises(ValidationError, match="3 bytes at most"):
            await one.put("k", b"four")


async def test_a_bucket_that_is_not_there_is_said(s3_server: S3Server) -> None:
    with pytest.raises(ExternalError) as error:
        await S3BlobStore.open(s3_server.url("nowhere"))
    assert error.value.code == "STORAGE_NO_BUCKET"


async def test_a_dead_server_is_an_error_and_no_empty_store() -> None:
    server = start_s3()
    try:
        url = server.url(server.make_bucket())
        store = await S3BlobStore.open(url, wait_seconds=2)
        await store.put("k", b"x")
    finally:
        server.stop()
    async with asyncio.timeout(60):
        calls = (store.get("k"), store.put("k", b"y"), store.exists("k"), store.list())
        for call in (*calls, store.check(), S3BlobStore.open(url, wait_seconds=2)):
            with pytest.raises(ExternalError) as error:
                await call
            assert error.value.code == "STORAGE_UNREACHABLE"
            assert error.value.http_status == 503
            assert "storage.url" in str(error.value.details)
            assert "secret" not in str(error.value.__notes__)


def test_a_failed_call_does_not_abort_the_process_at_its_end() -> None:
    program = (
        "import asyncio\n"
        "from pyeino.errors import ExternalError\n"
        "from pyeino.integrations.s3 import S3BlobStore\n"
        "async def main():\n"
        "    try:\n"
        "        await S3BlobStore.open('s3://k:s@b?endpoint=http://127.0.0.1:1', wait_seconds=1)\n"
        "    except ExternalError as error:\n"
        "        print(error.code)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "STORAGE_UNREACHABLE\n"), done.stderr


def test_an_address_says_everything_or_the_environment_does() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}
    address = S3Address.parse("s3://bucket/a/b/", env=keys)
    assert (address.bucket, address.prefix, address.region) == ("bucket", "a/b", "eu-west-1")
    given = S3Address.parse("s3://k:p%2Fw@bucket?endpoint=http://h:9000&region=r", env={})
    assert (given.secret_key, given.endpoint, given.region) == ("p/w", "http://h:9000", "r")
    assert "p/w" not in repr(given) + given.shown
    assert S3Address.parse("s3://b?credentials=machine", env={}).access_key == ""


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://bucket", "expected s3://"),
        ("s3:///prefix", "expected s3://"),
        ("s3://bucket", "no credentials"),
        ("s3://k:hunter2@bucket?zone=1", "unknown option 'zone'"),
        ("s3://k:hunter2@bucket?endpoint=host:9000", "http://"),
        ("s3://k:hunter2@bucket/a/../b", "no path"),
        ("s3://bucket?credentials=guess", "machine"),
    ],
)
def test_an_address_that_is_none_says_why(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        S3Address.parse(url, env={})
    assert "hunter2" not in str(error.value)
