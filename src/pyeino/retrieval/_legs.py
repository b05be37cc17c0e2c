"""The two ways to find a passage: by the vector of the question, and by its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from pyeino.components import RetrieverOptions
from pyeino.errors import ValidationError
from pyeino.monitoring import Logger
from pyeino.retrieval._calibration import CALIBRATIONS, Calibration
from pyeino.retrieval._marks import as_document
from pyeino.retrieval._query_vectors import QueryVectors
from pyeino.schema import Document
from pyeino.stores import PassageStore

DEFAULT_INDEX: Final = "default"
DEFAULT_TOP_K: Final = 5
_FILTER_KEYS: Final = frozenset({"documents"})


class VectorRetriever:
    """Passages whose vectors are nearest to that of the question.

    A document's score is its calibrated similarity where the embedder has a scale (`calibration`,
    else the one known for `vectors.model`), and then `score_threshold` drops those below it;
    without a scale the score is the cosine and no threshold is applied.
    `filter={"documents": […]}` narrows the search to documents by id or source.
    """

    def __init__(
        self,
        store: PassageStore,
        vectors: QueryVectors,
        *,
        calibration: Calibration | None = None,
        options: RetrieverOptions | None = None,
    ) -> None:
        self._store = store
        self._vectors = vectors
        self._calibration = calibration or CALIBRATIONS.get(vectors.model)
        self._options = options

    @property
    def calibrated(self) -> bool:
        """Whether the scores are on the scale that a threshold is on."""
        return self._calibration is not None

    async def retrieve(
        self, query: str, *, options: RetrieverOptions | None = None
    ) -> list[Document]:
        """Find passages for `query`, nearest first."""
        asked = (options or RetrieverOptions()).over(self._options)
        index, limit = asked.index or DEFAULT_INDEX, asked.top_k or DEFAULT_TOP_K
        if not query.strip() or not await self._store.count(index=index):
            return []  # an empty index never loads an embedder
        found = await self._store.search_vectors(
            await self._vectors.of(query),
            index=index,
            model=self._vectors.model,
            limit=limit,
            documents=named_documents(asked.filter),
        )
        scale = self._calibration
        if scale is None:
            return [as_document(one, similarity=None) for one in found]
        least = asked.score_threshold or 0.0
        measured = [(one, scale.similarity(one.score)) for one in found]
        return [as_document(one, similarity=value) for one, value in measured if value >= least]


class KeywordRetriever:
    """Passages that have the question's words, by BM25.

    BM25 has no scale, so a `score_threshold` is judged by the vectors of the hits: give `vectors`
    for that. Hits that cannot be judged are kept; whoever joins the legs decides about them.
    """

    def __init__(
        self,
        store: PassageStore,
        *,
        vectors: QueryVectors | None = None,
        calibration: Calibration | None = None,
        options: RetrieverOptions | None = None,
        logger: Logger | None = None,
    ) -> None:
        self._store = store
        self._vectors = vectors
        self._calibration = calibration or (CALIBRATIONS.get(vectors.model) if vectors else None)
        self._options = options
        self._logger = logger

    async def retrieve(
        self, query: str, *, options: RetrieverOptions | None = None
    ) -> list[Document]:
        """Find passages for `query`, best first."""
        asked = (options or RetrieverOptions()).over(self._options)
        index = asked.index or DEFAULT_INDEX
        found = await self._store.search_keywords(
            query,
            index=index,
            limit=asked.top_k or DEFAULT_TOP_K,
            documents=named_documents(asked.filter),
        )
        known = await self._similarities(query, [one.id for one in found], index)
        least = asked.score_threshold
        documents: list[Document] = []
        for one in found:
            value = known.get(one.id)
            if least is None or value is None or value >= least:
                documents.append(as_document(one, similarity=value).with_score(one.score))
        return documents

    async def _similarities(
        self, query: str, passage_ids: list[str], index: str
    ) -> Mapping[str, float]:
        vectors, scale = self._vectors, self._calibration
        if vectors is None or scale is None or not passage_ids:
            return {}
        try:
            cosines = await self._store.cosines(
                await vectors.of(query), passage_ids, index=index, model=vectors.model
            )
        except Exception as error:  # noqa: BLE001 - the words were found: the embedder's trouble is its leg's
            if self._logger is not None:
                self._logger.warn("Keyword hits could not be judged", error=error)
            return {}
        return {passage_id: scale.similarity(cosine) for passage_id, cosine in cosines.items()}


def named_documents(filter: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The documents that a filter names; ValidationError INVALID_OPTION for anything else."""
    if not filter:
        return ()
    names: Any = filter.get("documents", ())
    fits = isinstance(names, list | tuple)
    if fits:
        fits = all(isinstance(name, str) for name in cast("list[object]", names))
    if not fits or not filter.keys() <= _FILTER_KEYS:
        raise ValidationError(
            "INVALID_OPTION",
            'filter does not fit: expected {"documents": [names]}',
            metadata={"field": "filter", "expected": '{"documents": [names]}'},
        )
    return tuple(cast("list[str]", names))
