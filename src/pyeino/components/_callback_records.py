"""What handlers are shown of a call of each kind of component: its input with its options.

A call's output is shown as it is: messages carry their own usage, documents their scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pyeino.components._embedder import EmbedderOptions
from pyeino.components._loading import DocumentSource, LoaderOptions
from pyeino.components._model import ModelOptions
from pyeino.components._retrieval import (
    IndexerOptions,
    RerankerOptions,
    RerankInput,
    RetrieverOptions,
)
from pyeino.schema import Document, Message


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a ChatModel; the output is a Message, or its chunks."""

    messages: Sequence[Message]
    options: ModelOptions | None = None


class PromptCall(msgspec.Struct, frozen=True, kw_only=True):
    """A rendering of a ChatTemplate; the output is the messages."""

    variables: Mapping[str, Any]


class ToolCallInput(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a Tool; the output is text or a ToolResult, or their chunks."""

    arguments: str
    call_id: str = ""


class RetrieverCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a Retriever; the output is the documents."""

    query: str
    options: RetrieverOptions | None = None


class EmbedderCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of an Embedder; the output is the vectors."""

    texts: Sequence[str]
    options: EmbedderOptions | None = None


class IndexerCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of an Indexer; the output is the ids."""

    documents: Sequence[Document]
    options: IndexerOptions | None = None


class RerankerCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a Reranker; the output is the documents in their order."""

    input: RerankInput
    options: RerankerOptions | None = None


class LoaderCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a Loader; the output is the documents."""

    source: DocumentSource
    options: LoaderOptions | None = None


class TransformerCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a Transformer; the output is the documents."""

    documents: Sequence[Document]
