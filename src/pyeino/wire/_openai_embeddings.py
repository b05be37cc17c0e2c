"""OpenAI's embeddings: the body of POST /v1/embeddings and what it answers."""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pyeino.wire._decode import field_error


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v1/embeddings; `input` is a text or a list of texts."""

    input: str | list[Any]
    model: Annotated[str, Meta(min_length=1)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts; lists of tokens are refused by name."""
        if isinstance(self.input, str):
            return (self.input,)
        texts: list[str] = []
        for index, one in enumerate(self.input):
            if not isinstance(one, str):
                raise field_error(
                    f"input[{index}]",
                    f"input[{index}]: expected a text; tokens are not supported here",
                    code="UNSUPPORTED_FIELD",
                )
            texts.append(one)
        return tuple(texts)


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    """One vector: numbers, or their float32 bytes (little endian) in base64."""

    index: int
    embedding: list[float] | str
    object: str = "embedding"


class EmbeddingUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of the texts; 0 where the model does not count them."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingList(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of POST /v1/embeddings."""

    data: tuple[Embedding, ...]
    model: str
    usage: EmbeddingUsage = EmbeddingUsage()
    object: str = "list"


def embeddings_from(
    vectors: Sequence[Sequence[float]], *, model: str, request: EmbeddingRequest
) -> EmbeddingList:
    """The answer that holds `vectors` in the form that `request` asks for.

    Raises UNSUPPORTED_FIELD when it asks for another number of dimensions than there are.
    """
    wanted = request.dimensions
    if wanted is not None and any(len(vector) != wanted for vector in vectors):
        raise field_error(
            "dimensions",
            f"dimensions: this model gives {len(vectors[0])}; leave it out",
            code="UNSUPPORTED_FIELD",
        )
    as_text = request.encoding_format == "base64"
    return EmbeddingList(
        data=tuple(
            Embedding(index=index, embedding=_packed(vector) if as_text else list(vector))
            for index, vector in enumerate(vectors)
        ),
        model=model,
    )


def _packed(vector: Sequence[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
