"""HybridRetriever: two retrievers at once, joined by rank."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from msgspec.structs import replace

from pyeino.components import Retriever, RetrieverCall, RetrieverOptions
from pyeino.errors import DeclarationError, ExternalError
from pyeino.monitoring import Logger, Metrics, tracing_middleware
from pyeino.retrieval._fusion import Fusion, RankedLeg, distinct, fuse
from pyeino.retrieval._legs import DEFAULT_TOP_K
from pyeino.retrieval._marks import similarity_of
from pyeino.schema import Document

_FAILED = {"vector": "Vector retrieval failed", "keyword": "Keyword retrieval failed"}


@runtime_checkable
class CalibratedRetriever(Protocol):
    """A retriever that says whether its documents carry a calibrated similarity."""

    @property
    def calibrated(self) -> bool:
        """True when they do."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridRetrieverConfig:
    """Both legs are required; the weights are 0..1 and not both 0.

    `fusion` is "weighted" or "rrf". Each leg is asked for `widening` (≥ 1) times top_k documents
    and may take `leg_timeout` seconds. `options` hold where a call does not say otherwise.
    """

    vector_retriever: Retriever
    keyword_retriever: Retriever
    vector_weight: float = 0.7
    keyword_weight: float = 0.3
    logger: Logger | None = None
    metrics: Metrics | None = None
    fusion: Fusion = "weighted"
    widening: int = 4
    leg_timeout: float = 10.0
    options: RetrieverOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _LegResult:
    name: str
    documents: list[Document]
    error: Exception | None = None


class HybridRetriever:
    """Asks a vector and a keyword retriever at once and joins what they give by rank.

    A leg that fails or is too slow is logged and counted; the other one then counts fully and its
    documents are marked (`degraded_legs`). When both fail the error names both: ExternalError
    RETRIEVAL_FAILED. `score_threshold` is on the calibrated scale and is applied before the lists
    are joined; documents of a leg without that scale count as irrelevant when the vector leg has
    it and did not find them. The documents of the legs are never changed.
    """

    def __init__(self, config: HybridRetrieverConfig) -> None:
        _check(config)
        self._config = config
        self._traced = tracing_middleware("Retriever", "hybrid")(self._retrieve)

    def get_type(self) -> str:
        """The component's type name."""
        return "HybridRetriever"

    async def retrieve(
        self, query: str, *, options: RetrieverOptions | None = None
    ) -> list[Document]:
        """The best documents for `query`, at most top_k (5), best first.

        Cancelling the call cancels both legs. Raises RETRIEVAL_FAILED when both failed, and
        ValidationError INVALID_OPTION for a top_k below 1.
        """
        started = time.perf_counter()
        try:
            return await self._traced(RetrieverCall(query=query, options=options))
        finally:
            if self._config.metrics is not None:
                self._config.metrics.observe_retrieval_latency(time.perf_counter() - started)

    async def _retrieve(self, call: RetrieverCall) -> list[Document]:
        config, query, options = self._config, call.query, call.options
        asked = (options or RetrieverOptions()).over(config.options)
        top_k = asked.top_k or DEFAULT_TOP_K
        wide = replace(asked, top_k=top_k * config.widening)
        async with asyncio.TaskGroup() as group:
            legs = [
                group.create_task(self._ask(name, leg, query, wide), name=f"{name} retrieval")
                for name, leg in (
                    ("vector", config.vector_retriever),
                    ("keyword", config.keyword_retriever),
                )
            ]
        results = [leg.result() for leg in legs]
        failed = [result for result in results if result.error is not None]
        for result in failed:
            self._tell_failure(result)
        if len(failed) == len(results):
            raise _both_failed(failed)
        documents = self._join(results, asked.score_threshold)[:top_k]
        if config.metrics is not None:
            config.metrics.observe_retrieval_count(len(documents))
        return documents

    async def _ask(
        self, name: str, leg: Retriever, query: str, options: RetrieverOptions
    ) -> _LegResult:
        """One leg. Whatever goes wrong in it is its result, but for a cancel from outside."""

        async def ask(call: RetrieverCall) -> Sequence[Document | None]:
            return await leg.retrieve(call.query, options=call.options)

        call = RetrieverCall(query=query, options=options)
        try:
            async with asyncio.timeout(self._config.leg_timeout):
                found = await tracing_middleware("Retriever", name)(ask)(call)
            return _LegResult(name=name, documents=distinct(found))
        except asyncio.CancelledError as cancel:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            error = RuntimeError("the retriever cancelled itself")
            error.__cause__ = cancel
            return _LegResult(name=name, documents=[], error=error)
        except Exception as error:  # noqa: BLE001 - it is this leg's result, logged and counted
            return _LegResult(name=name, documents=[], error=error)

    def _join(self, results: Sequence[_LegResult], threshold: float | None) -> list[Document]:
        config = self._config
        weights = {"vector": config.vector_weight, "keyword": config.keyword_weight}
        alive = [result for result in results if result.error is None]
        degraded = [result.name for result in results if result.error is not None]
        kept = _above(alive, threshold, scaled=self._has_scale(alive))
        legs = [
            RankedLeg(
                name=result.name,
                weight=1.0 if degraded else weights[result.name],
                documents=documents,
            )
            for result, documents in zip(alive, kept, strict=True)
        ]
        return fuse(legs, method=config.fusion, degraded=degraded)

    def _has_scale(self, alive: Sequence[_LegResult]) -> bool:
        leg = self._config.vector_retriever
        answered = any(result.name == "vector" for result in alive)
        return answered and isinstance(leg, CalibratedRetriever) and leg.calibrated

    def _tell_failure(self, result: _LegResult) -> None:
        if self._config.logger is not None:
            self._config.logger.error(_FAILED[result.name], error=result.error)
        if self._config.metrics is not None:
            self._config.metrics.inc_retrieval_errors(result.name)


def _above(
    results: Sequence[_LegResult], threshold: float | None, *, scaled: bool
) -> list[list[Document]]:
    """Each leg's documents that reach the threshold, or whose twin in another leg does."""
    if threshold is None:
        return [result.documents for result in results]
    known = {
        document.id: similarity
        for result in results
        for document in result.documents
        if document.id and (similarity := similarity_of(document)) is not None
    }

    def reaches(document: Document) -> bool:
        similarity = similarity_of(document)
        similarity = known.get(document.id) if similarity is None else similarity
        return not scaled if similarity is None else similarity >= threshold

    return [[one for one in result.documents if reaches(one)] for result in results]


def _both_failed(failed: Sequence[_LegResult]) -> ExternalError:
    errors = [result.error for result in failed if result.error is not None]
    names = {result.name: type(result.error).__name__ for result in failed}
    text = ", ".join(f"{result.name}={result.error!r}" for result in failed)
    return ExternalError(
        "RETRIEVAL_FAILED",
        "both retrievals failed: " + ", ".join(f"{leg}={kind}" for leg, kind in names.items()),
        details="Nothing can be looked up at the moment. Try again later.",
        metadata=names,
        cause=ExceptionGroup(f"both retrievals failed: {text}", errors),
    )


def _check(config: HybridRetrieverConfig) -> None:
    """Refuse a configuration that cannot work, with everything that is wrong with it."""
    problems: list[str] = []
    for name in ("vector_retriever", "keyword_retriever"):
        if not isinstance(getattr(config, name), Retriever):
            problems.append(f"{name} is required and has to be a Retriever")
    weights = {"vector_weight": config.vector_weight, "keyword_weight": config.keyword_weight}
    for name, weight in weights.items():
        if not 0 <= weight <= 1:
            problems.append(f"{name} has to be 0 to 1, found {weight}")
    if not any(weights.values()):
        problems.append("vector_weight and keyword_weight are both 0: at least one has to count")
    if config.fusion not in ("weighted", "rrf"):
        problems.append(f"fusion has to be weighted or rrf, found {config.fusion!r}")
    if config.widening < 1:
        problems.append(f"widening has to be at least 1, found {config.widening}")
    if not config.leg_timeout > 0:
        problems.append(f"leg_timeout has to be more than 0 seconds, found {config.leg_timeout}")
    if problems:
        raise DeclarationError("the hybrid retriever cannot be made: " + "; ".join(problems))
