"""The engine: llama.cpp's server inside this process, without a port; every call here blocks."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pyeino.errors import ExternalError, MissingDependencyError, NotFoundError

# Prompts are worked off in steps of this many tokens, and a cancel is looked at between steps.
_STEP_TOKENS = 64
_LONGEST_SOCKET_PATH = 100
_MAGIC = b"GGUF"

Chunk = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How the engine is set up; `context_per_slot` is in tokens."""

    path: Path
    slots: int
    context_per_slot: int
    threads: int


class Engine:
    """llama.cpp with one model loaded; made and closed in a worker thread, never in the loop.

    It listens on a Unix socket in a folder that only this user can enter, under a random key,
    because the library cannot be told not to listen at all. `close` ends its threads; no `chat`
    may be running then.
    """

    def __init__(self, options: EngineOptions) -> None:
        check_file(options.path)
        library = _load_library()
        folder = tempfile.mkdtemp(prefix="pyeino-", dir=_socket_parent())
        self._remove_folder = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._key = secrets.token_hex(32)
        self._hidden = (str(options.path), folder, self._key)
        try:
            self._server: Any = library.Server(self._parameters(library, options, folder))
        except Exception as error:
            self._remove_folder()
            raise ExternalError(
                "MODEL_LOAD_FAILED",
                f"llama.cpp could not load {options.path.name}: expected GGUF weights of a chat "
                "model that fit into memory; pull the model again or use fewer slots",
                cause=error,
            ) from error
        # A server that is torn down before it has answered once may wait for ever: it has to
        # have served this before anybody can call close.
        self.context_per_slot = self._measure_context(options)

    def chat(self, request: Chunk, on_chunk: Callable[[Chunk], bool]) -> None:
        """Run one chat request; `on_chunk` is called in this thread and returns True to cancel."""
        self._server.handle_chat_completions(request, on_chunk)

    def close(self) -> None:
        """End the engine's threads and remove its socket; doing it again does nothing."""
        self._server = None
        self._remove_folder()

    def mask(self, text: str) -> str:
        """`text` without paths and keys, short enough for an error message."""
        for secret in self._hidden:
            text = text.replace(secret, "***")
        return text[:300]

    def _parameters(self, library: Any, options: EngineOptions, folder: str) -> Any:
        params = library.CommonParams()
        params.model.path = str(options.path)
        params.hostnames = [os.path.join(folder, "llama.sock")]
        params.port = 0
        params.api_keys = [self._key]
        params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
        params.ui = False
        params.offline = True
        params.n_threads_http = 1
        params.n_parallel = options.slots
        params.n_ctx = options.slots * options.context_per_slot
        params.n_batch = params.n_ubatch = _STEP_TOKENS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
        params.cache_ram_mib = 0  # slots keep their own prompt; without this up to 8 GiB are kept
        params.prefill_assistant = False  # an answer is a new message, never the rest of one
        params.warmup = False  # _measure_context does it
        params.verbosity = -1
        return params

    def _measure_context(self, options: EngineOptions) -> int:
        """Answer once, then ask too much: the refusal tells what a slot really holds."""
        failures: list[Chunk] = []

        def watch(chunk: Chunk) -> bool:
            failures.extend([chunk["error"]] if "error" in chunk else [])
            return False

        def ask(text: str) -> None:
            messages = [{"role": "user", "content": text}]
            self.chat({"messages": messages, "max_tokens": 1, "stream": True}, watch)

        try:
            ask("Hi")
            if failures:
                raise RuntimeError(str(failures[0].get("message", "")))
            ask("a " * (options.context_per_slot + 1))
        except Exception as error:
            self.close()
            raise ExternalError(
                "MODEL_LOAD_FAILED",
                f"{options.path.name} was loaded but does not answer: expected a chat model with "
                "a chat template inside",
                details=self.mask(str(error)),
                cause=error,
            ) from error
        measured = failures[0].get("n_ctx") if failures else None
        return measured if isinstance(measured, int) else options.context_per_slot


def check_file(path: Path) -> None:
    """Raise unless `path` is a file that begins like GGUF weights."""
    try:
        with path.open("rb") as file:
            found = file.read(len(_MAGIC))
    except OSError as error:
        raise NotFoundError(
            "MODEL_FILE_NOT_FOUND",
            f"No model weights can be read at {path} ({error.strerror}); "
            "fetch them with: pyeino models pull",
            cause=error,
        ) from error
    if found != _MAGIC:
        raise ExternalError(
            "MODEL_LOAD_FAILED",
            f"{path.name} holds no GGUF weights: expected it to begin with {_MAGIC!r}, found "
            f"{found!r}; delete it and pull the model again",
        )


def _socket_parent() -> str | None:
    """Where the socket's folder goes: the usual place unless its path is too long for a socket."""
    if len(tempfile.gettempdir()) < _LONGEST_SOCKET_PATH - len("/pyeino-xxxxxxxx/llama.sock"):
        return None
    return os.sep + "tmp"


def _load_library() -> Any:
    try:
        import xllamacpp  # type: ignore[import-untyped, unused-ignore]  # it has no types
    except ImportError as error:
        raise MissingDependencyError("xllamacpp", extra="local") from error
    return cast(Any, xllamacpp)
