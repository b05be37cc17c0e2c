"""HybridRetriever: S11, and what the guide's own code got wrong (G20–G27)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from pyeino.components import Retriever, RetrieverOptions
from pyeino.errors import DeclarationError, ExternalError, ValidationError
from pyeino.monitoring import Metrics
from pyeino.retrieval import (
    HybridRetriever,
    HybridRetrieverConfig,
    degraded_legs,
    leg_scores,
    similarity_of,
)
from pyeino.retrieval._fusion import RankedLeg, fuse
from pyeino.schema import Document

from .conftest import FixedRetriever, docs, ids


def _hybrid(vector: Any, keyword: Any, **settings: Any) -> HybridRetriever:
    return HybridRetriever(
        HybridRetrieverConfig(
            vector_retriever=vector if isinstance(vector, Retriever) else FixedRetriever(vector),
            keyword_retriever=keyword
            if isinstance(keyword, Retriever)
            else FixedRetriever(keyword),
            **settings,
        )
    )


class _Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def error(self, message: str, /, **fields: Any) -> None:
        self.lines.append((message, fields))


def test_s11_its_type_name_is_the_guides() -> None:
    assert _hybrid([], []).get_type() == "HybridRetriever"


async def test_s11_rank_scores_are_weighted_and_summed() -> None:
    hybrid = _hybrid(docs("a", "b"), docs("b", "c", "d"), vector_weight=0.6, keyword_weight=0.4)
    found = await hybrid.retrieve("q")
    assert {one.id: round(one.score, 6) for one in found} == {
        "a": 0.6,
        "b": round(0.6 * 0.5 + 0.4 * 1.0, 6),
        "c": round(0.4 * 2 / 3, 6),
        "d": round(0.4 / 3, 6),
    }
    assert ids(found) == ["b", "a", "c", "d"]


async def test_s11_metrics_of_every_outcome() -> None:
    metrics = Metrics()
    hybrid = _hybrid(docs("a"), RuntimeError("down"), metrics=metrics)
    await hybrid.retrieve("q")
    broken = _hybrid(RuntimeError("x"), RuntimeError("y"), metrics=metrics)
    with pytest.raises(ExternalError):
        await broken.retrieve("q")
    text = metrics.render()[0].decode()
    assert "eino_retrieval_latency_seconds_count 2.0" in text
    assert 'eino_retrieval_errors_total{retriever="keyword"} 2.0' in text
    assert 'eino_retrieval_errors_total{retriever="vector"} 1.0' in text
    assert "eino_retrieval_documents_count 1.0" in text


async def test_s11_both_failing_is_one_error_that_names_both_causes() -> None:
    with pytest.raises(ExternalError, match="RETRIEVAL_FAILED") as caught:
        await _hybrid(RuntimeError("secret one"), ValueError("secret two")).retrieve("q")
    assert caught.value.metadata == {"vector": "RuntimeError", "keyword": "ValueError"}
    assert "secret" not in caught.value.message
    assert "secret one" in str(caught.value)
    assert "secret two" in str(caught.value)
    assert isinstance(caught.value.cause, ExceptionGroup)


async def test_g20_documents_of_the_legs_are_not_changed() -> None:
    shared = {"tags": ["x"], "n": 1}
    one = Document(id="a", content="A", meta_data=shared)
    before = (asdict(one), dict(shared))
    (found,) = await _hybrid([one], [one]).retrieve("q")
    assert (asdict(one), dict(shared)) == before
    assert found is not one
    assert found.meta_data is not shared


async def test_g21_ties_go_by_best_rank_then_appearance_then_id() -> None:
    vector, keyword = docs("v1", "v2"), docs("k1", "k2")
    hybrid = _hybrid(vector, keyword, vector_weight=0.5, keyword_weight=0.5)
    first = ids(await hybrid.retrieve("q"))
    assert first == ["v1", "k1", "v2", "k2"]
    for _ in range(20):
        assert ids(await hybrid.retrieve("q")) == first


async def test_g22_ranks_are_over_distinct_documents_that_are_not_null() -> None:
    vector: list[Document | None] = [None, *docs("a"), None, *docs("a", "b")]
    found = await _hybrid(vector, docs("z"), vector_weight=1.0, keyword_weight=0.0).retrieve("q")
    by_id = {one.id: one for one in found}
    assert by_id["a"].score == 1.0
    assert by_id["b"].score == 0.5
    assert leg_scores(by_id["b"])["vector"].rank == 2


async def test_g22_rrf_does_not_depend_on_the_length_of_a_list() -> None:
    long = docs("a", *(f"x{number}" for number in range(50)))
    hybrid = _hybrid(long, docs("b"), vector_weight=1, keyword_weight=1, fusion="rrf")
    found = {one.id: one.score for one in await hybrid.retrieve("q")}
    assert found["a"] == found["b"] == pytest.approx(1 / 61)


def test_its_type_has_the_guides_name() -> None:
    assert _hybrid(docs("a"), docs("b")).get_type() == "HybridRetriever"


@pytest.mark.parametrize("dead", ["vector", "keyword"])
async def test_g23_the_surviving_leg_counts_fully_and_is_marked(dead: str) -> None:
    log = _Log()
    legs = {"vector": docs("a", "b"), "keyword": docs("a", "b"), dead: ConnectionError("no")}
    hybrid = _hybrid(
        legs["vector"], legs["keyword"], vector_weight=0.2, keyword_weight=0.3, logger=log
    )
    found = await hybrid.retrieve("q", options=RetrieverOptions(score_threshold=0.7))
    assert [one.score for one in found] == [1.0, 0.5]
    assert {degraded_legs(one) for one in found} == {(dead,)}
    assert [message for message, _ in log.lines] == [f"{dead.title()} retrieval failed"]
    assert isinstance(log.lines[0][1]["error"], ConnectionError)


@pytest.mark.parametrize(
    "settings",
    [
        {"vector_weight": 0.0, "keyword_weight": 0.0},
        {"vector_weight": 1.1},
        {"keyword_weight": -0.1},
        {"vector_weight": float("nan")},
        {"vector_retriever": None},
        {"keyword_retriever": object()},
        {"widening": 0},
        {"leg_timeout": 0},
        {"fusion": "best"},
    ],
)
def test_g24_a_configuration_that_cannot_work_is_refused(settings: dict[str, Any]) -> None:
    parts = {"vector_retriever": FixedRetriever(), "keyword_retriever": FixedRetriever()}
    with pytest.raises(DeclarationError, match=next(iter(settings))):
        HybridRetriever(HybridRetrieverConfig(**{**parts, **settings}))


async def test_g24_logger_and_metrics_may_be_left_out() -> None:
    assert ids(await _hybrid(docs("a"), OSError("x")).retrieve("q")) == ["a"]


async def test_g25_legs_are_asked_for_more_than_is_given() -> None:
    vector = FixedRetriever(docs(*"abcdefgh"))
    hybrid = _hybrid(vector, [], widening=4)
    found = await hybrid.retrieve("q", options=RetrieverOptions(top_k=2, extra={"x": 1}))
    assert ids(found) == ["a", "b"]
    assert vector.asked[0] is not None
    assert vector.asked[0].top_k == 8
    assert vector.asked[0].extra == {"x": 1}


async def test_g25_a_slow_leg_is_a_failed_leg() -> None:
    slow = FixedRetriever("never")
    found = await _hybrid(docs("a"), slow, leg_timeout=0.05).retrieve("q")
    assert slow.cancelled.is_set()
    assert degraded_legs(found[0]) == ("keyword",)


async def test_g25_cancelling_cancels_both_legs() -> None:
    legs = FixedRetriever("never"), FixedRetriever("never")
    call = asyncio.create_task(_hybrid(*legs).retrieve("q"))
    async with asyncio.timeout(30):
        for leg in legs:
            await leg.begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert all(leg.cancelled.is_set() for leg in legs)


@pytest.mark.parametrize("failure", [KeyError("bug"), asyncio.CancelledError(), None])
async def test_g25_whatever_a_leg_does_is_that_legs_error(failure: object) -> None:
    found = await _hybrid(FixedRetriever(failure), docs("a")).retrieve("q")
    assert degraded_legs(found[0]) == ("vector",)


async def test_g26_scores_and_ranks_of_the_legs_are_kept() -> None:
    vector, keyword = docs("a", "b", score=0.4), docs("b", score=7.5)
    found = await _hybrid(vector, keyword).retrieve("q")
    both = next(one for one in found if one.id == "b")
    kept = leg_scores(both)
    assert (kept["vector"].rank, kept["vector"].score) == (2, 0.4)
    assert (kept["keyword"].rank, kept["keyword"].score) == (1, 7.5)


async def test_g26_documents_without_an_id_are_never_one() -> None:
    nameless = [Document(content="x"), Document(content="y")]
    found = await _hybrid(nameless, [Document(content="x")]).retrieve("q")
    assert [one.content for one in found] == ["x", "y", "x"]


async def test_g27_options_of_a_call_come_over_the_retrievers_own() -> None:
    vector = FixedRetriever(docs(*"abcdef"))
    hybrid = _hybrid(vector, [], options=RetrieverOptions(top_k=3, index="notes"))
    assert len(await hybrid.retrieve("q")) == 3
    assert len(await hybrid.retrieve("q", options=RetrieverOptions(top_k=1))) == 1
    assert {one.index for one in vector.asked if one} == {"notes"}
    for wrong in (0, -1):
        with pytest.raises(ValidationError, match="top_k"):
            RetrieverOptions(top_k=wrong)


async def test_g17_the_threshold_comes_before_the_ranks() -> None:
    vector = FixedRetriever(
        [*docs("no", _similarity=0.6), *docs("yes", _similarity=0.9)], calibrated=True
    )
    keyword = docs("unknown", "no", "yes")
    found = await _hybrid(vector, keyword, vector_weight=0.5, keyword_weight=0.5).retrieve(
        "q", options=RetrieverOptions(score_threshold=0.7)
    )
    assert ids(found) == ["yes"]
    assert found[0].score == 1.0
    assert similarity_of(found[0]) == 0.9
    off = await _hybrid(vector, keyword).retrieve("q")
    assert len(off) == 3


async def test_g17_without_a_scale_there_is_no_threshold() -> None:
    found = await _hybrid(docs("a"), docs("b")).retrieve(
        "q", options=RetrieverOptions(score_threshold=1.0)
    )
    assert ids(found) == ["a", "b"]


_LISTS = st.lists(
    st.one_of(st.none(), st.sampled_from("abcdef").map(lambda one: docs(one)[0])), max_size=8
)


@given(vector=_LISTS, keyword=_LISTS, method=st.sampled_from(["weighted", "rrf"]))
def test_fusion_gives_each_document_once_in_falling_order(
    vector: list[Any], keyword: list[Any], method: Any
) -> None:
    legs = [
        RankedLeg(name="vector", weight=0.7, documents=vector),
        RankedLeg(name="keyword", weight=0.3, documents=keyword),
    ]
    found = fuse(legs, method=method)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert sorted(ids(found)) == sorted({one.id for one in (*vector, *keyword) if one})
    assert all(0 < score <= 1 for score in scores)
