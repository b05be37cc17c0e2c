"""What every store of passages has to pass.

Run each check against fresh stores, with pytest for example:

    @pytest.mark.parametrize("check", PASSAGE_CHECKS, ids=lambda check: check.__name__)
    async def test_conformance(check, database):
        await check(lambda tenant: database.scope(tenant=tenant).passages)
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from pyeino.stores import FoundPassage, IndexedDocument, NewPassage, PassageStore
from pyeino.testing._expect import expect, expect_equal, expect_error

PassagesOf = Callable[[str], PassageStore]
"""Gives the passages of a tenant; stores of the same tenant see the same rows."""

PassageCheck = Callable[[PassagesOf], Awaitable[None]]

_MODEL: Final = "m"
_HALF: Final = 2e-3
"""How far a cosine may be off: a store may keep vectors in half precision."""


def _document(name: str, *, model: str = _MODEL, digest: str = "d") -> IndexedDocument:
    return IndexedDocument(
        id=name, location=f"/x/{name}", source=f"{name}.md", digest=digest, model=model
    )


def _passage(
    name: str,
    text: str = "text",
    *,
    title: str = "",
    vector: Sequence[float] | None = (1.0, 0.0),
    metadata: dict[str, Any] | None = None,
) -> NewPassage:
    return NewPassage(id=name, title=title, content=text, vector=vector, metadata=metadata or {})


async def _fill(store: PassageStore, texts: dict[str, str], *, index: str = "i") -> None:
    """One document for each text, of one passage with the same name."""
    for name, text in texts.items():
        await store.put_document(_document(name), [_passage(name, text)], index=index)


async def _by_words(store: PassageStore, text: str, *, documents: Sequence[str] = ()) -> list[str]:
    found = await store.search_keywords(text, index="i", limit=50, documents=documents)
    return [one.id for one in found]


async def _by_vector(
    store: PassageStore,
    vector: Sequence[float] = (1.0, 0.0),
    *,
    limit: int = 50,
    documents: Sequence[str] = (),
) -> list[FoundPassage]:
    return await store.search_vectors(
        vector, index="i", model=_MODEL, limit=limit, documents=documents
    )


async def check_passage_round_trip(passages_of: PassagesOf) -> None:
    """What is stored comes back whole; replacing and deleting leave nothing behind."""
    store = passages_of("t")
    expect_equal(await store.count(index="i"), 0, "an index that was never filled is empty")
    expect_equal(await store.documents(index="i"), (), "it has no documents")
    expect_equal(await _by_vector(store), [], "nothing is near in it")
    expect_equal(await _by_words(store, "text"), [], "no words are in it")
    metadata = {"page": 1, "nested": {"numbers": [1, 2.5, None]}, "ü": "\x00 \x10 €"}
    both = [
        _passage("a", "first \x00 thing", title="Title", metadata=metadata),
        _passage("b", "next", vector=(0.0, 1.0)),
    ]
    await store.put_document(_document("d"), both, index="i")
    (hit, other) = await _by_vector(store)
    named = (hit.document_id, hit.source, hit.title)
    expect_equal(named, ("d", "d.md", "Title"), "a hit names its document")
    expect_equal(
        (hit.id, hit.content, hit.position), ("a", "first \x00 thing", 0), "text and place stay"
    )
    expect_equal(hit.metadata, metadata, "metadata stays")
    expect_equal((other.id, other.position), ("b", 1), "passages keep their order")
    (known,) = await store.documents(index="i")
    expect_equal((known.id, known.passages), ("d", 2), "a document knows how many it has")

    await store.put_document(_document("d", digest="e"), [_passage("c", "second")], index="i")
    expect_equal([one.id for one in await _by_vector(store)], ["c"], "what is replaced is gone")
    expect_equal(await _by_words(store, "first"), [], "its words are gone")
    expect_equal(await store.count(index="i"), 1, "its passages are not counted")
    gone = await store.delete_documents(["d", "unknown"], index="i")
    expect_equal(gone, 1, "deleting tells how many were there")
    expect_equal(await _by_vector(store), [], "what is deleted is not near")
    expect_equal(await _by_words(store, "second"), [], "what is deleted has no words")
    expect_equal(await store.delete_documents([], index="i"), 0, "nothing to delete is no error")


async def check_documents(passages_of: PassagesOf) -> None:
    """Documents are listed by location, and a prefix is no pattern."""
    store = passages_of("t")
    for name in ("b", "a", "B", "a%c", "a_c"):
        await store.put_document(_document(name), [], index="i")
    names = [one.id for one in await store.documents(index="i")]
    expect_equal(names, sorted(names), "in order of location, by code points")
    under = [one.id for one in await store.documents(index="i", under="/x/a%")]
    expect_equal(under, ["a%c"], "a prefix means itself")
    (one,) = await store.documents(index="i", under="/x/b")
    expect_equal(one, _document("b"), "a document stays as it was")


async def check_passages_are_apart(passages_of: PassagesOf) -> None:
    """Tenants and indexes do not see each other, though ids and words are the same."""
    ours, theirs = passages_of("t"), passages_of("u")
    passages = [_passage("p", "secret word")]
    await ours.put_document(_document("d"), passages, index="i")
    for store, index in ((theirs, "i"), (ours, "j")):
        found = await store.search_keywords("secret", index=index, limit=5)
        expect_equal(found, [], "words are its own")
        near = await store.search_vectors([1, 0], index=index, model=_MODEL, limit=5)
        expect_equal(near, [], "vectors are its own")
        cosines = await store.cosines([1, 0], ["p"], index=index, model=_MODEL)
        expect_equal(dict(cosines), {}, "cosines are its own")
        vectors = await store.vectors(["p"], index=index, model=_MODEL)
        expect_equal(dict(vectors), {}, "vectors by id are its own")
        expect_equal(await store.documents(index=index), (), "documents are its own")
        expect_equal(await store.count(index=index), 0, "the count is its own")
        expect_equal(await store.delete_documents(["d"], index=index), 0, "and so is deleting")
        await store.put_document(_document("d"), passages, index=index)
    expect_equal(len(await _by_words(ours, "secret")), 1, "the same ids may be in each")
    await theirs.delete_documents(["d"], index="i")
    expect_equal(len(await _by_words(ours, "secret")), 1, "deleting touches its own only")


async def check_vector_search(passages_of: PassagesOf) -> None:
    """The nearest come first with their cosines, whatever the length of the vectors."""
    store = passages_of("t")
    dice = random.Random(7)  # noqa: S311 (numbers to compare, no secret)  # nosec B311
    vectors = [[dice.gauss(0, 1) * 3 for _ in range(16)] for _ in range(200)]
    await store.put_document(
        _document("all"),
        [_passage(f"p{n}", vector=vector) for n, vector in enumerate(vectors)],
        index="i",
    )
    for number in range(10):
        query = [value + 0.3 for value in vectors[number]]
        cosines = sorted((_cosine(query, one) for one in vectors), reverse=True)[:10]
        found = await _by_vector(store, query, limit=10)
        off = max(abs(one.score - cosine) for one, cosine in zip(found, cosines, strict=True))
        expect(off < _HALF, f"scores are cosines, greatest first; off by {off}")
        expect_equal(found[0].id, f"p{number}", "the nearest comes first")
        by_id = await store.cosines(query, [f"p{number}", "none"], index="i", model=_MODEL)
        expect_equal(set(by_id), {f"p{number}"}, "cosines are for those that are there")
        expect(abs(by_id[f"p{number}"] - found[0].score) < _HALF, "and the same as in a search")
    kept = await store.vectors(["p3", "none"], index="i", model=_MODEL)
    expect_equal(set(kept), {"p3"}, "vectors are for those that are there")
    expect(abs(_cosine(kept["p3"], vectors[3]) - 1) < _HALF, "and point where they did")
    expect(abs(math.hypot(*kept["p3"]) - 1) < _HALF, "at length 1")


async def check_equal_scores(passages_of: PassagesOf) -> None:
    """Hits that are equally good come in the order in which they were stored, every time."""
    store = passages_of("t")
    await store.put_document(_document("d"), [_passage(f"p{n}") for n in range(20)], index="i")
    for _ in range(3):
        near = [one.id for one in await _by_vector(store, limit=5)]
        expect_equal(near, ["p0", "p1", "p2", "p3", "p4"], "equal cosines, one order")
        expect_equal((await _by_words(store, "text"))[:3], ["p0", "p1", "p2"], "equal words, too")


async def check_vectors_of_a_model(passages_of: PassagesOf) -> None:
    """Vectors of another model, and passages without one, are not compared."""
    store = passages_of("t")
    await store.put_document(_document("old", model="other"), [_passage("o")], index="i")
    await store.put_document(
        _document("new"), [_passage("n"), _passage("none", vector=None)], index="i"
    )
    expect_equal([one.id for one in await _by_vector(store)], ["n"], "of this model only")
    ids = ["o", "n", "none"]
    cosines = await store.cosines([1, 0], ids, index="i", model=_MODEL)
    expect_equal(set(cosines), {"n"}, "cosines are of this model")
    expect_equal(set(await store.vectors(ids, index="i", model="other")), {"o"}, "vectors, too")
    expect_equal(sorted(await _by_words(store, "text")), ["n", "none", "o"], "words need none")


async def check_bad_vectors(passages_of: PassagesOf) -> None:
    """A vector without a direction, and one of another length, are refused as the caller's."""
    store = passages_of("t")
    for vector in ([0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0], []):
        wrong = [_passage("p", vector=vector)]
        await expect_error(
            store.put_document(_document("d"), wrong, index="i"), "INVALID_VECTOR", "no direction"
        )
        await expect_error(_by_vector(store, vector), "INVALID_VECTOR", "nothing to look for")
    expect_equal(await store.count(index="i"), 0, "nothing is stored of a refused document")
    await store.put_document(_document("d"), [_passage("p")], index="i")
    error = await expect_error(_by_vector(store, [1, 0, 0]), "INVALID_VECTOR", "another length")
    expect("numbers" in error.message, "the error says what was expected")
    await expect_error(
        store.cosines([1, 0, 0], ["p"], index="i", model=_MODEL), "INVALID_VECTOR", "in cosines"
    )


async def check_keyword_search(passages_of: PassagesOf) -> None:
    """Any word finds, in any form; what is rare, and what is in the title, counts more."""
    store = passages_of("t")
    await _fill(
        store,
        {
            "tea": "Green tea wants water of 80 degrees.",
            "bread": "Bread wants water, too, and salt in the water. Water it well.",
            "cafe": "The Café opens at 7, in the rue de l'Église.",
            "key": "Set DATABASE_URL; see docs/configuration.md for it.",
        },
    )
    expect_equal(await _by_words(store, "TEA"), ["tea"], "case does not matter")
    expect_equal(await _by_words(store, "degree"), ["tea"], "nor does the ending")
    expect_equal(await _by_words(store, "cafe eglise"), ["cafe"], "nor do accents")
    expect_equal(await _by_words(store, "80"), ["tea"], "numbers are words")
    expect_equal(await _by_words(store, "database_url"), ["key"], "names are found")
    expect_equal(await _by_words(store, "unheard"), [], "what is not there is not found")
    expect_equal(sorted(await _by_words(store, "salt tea")), ["bread", "tea"], "any word finds")
    ranked = await _by_words(store, "green water")
    expect_equal(ranked, ["tea", "bread"], "a rare word tells more than a common one")
    found = await store.search_keywords("green water", index="i", limit=1)
    expect_equal([one.id for one in found], ["tea"], "at most as many as wanted")
    hits = await store.search_keywords("green water", index="i", limit=5)
    scores = [one.score for one in hits]
    expect_equal(scores, sorted(scores, reverse=True), "a better hit has a greater score")

    titled = [_passage("x", "About horses."), _passage("y", "About cows.", title="Horses")]
    await store.put_document(_document("farm"), titled, index="i")
    expect_equal((await _by_words(store, "horses"))[0], "y", "a title tells more than the text")


async def check_nothing_is_syntax(passages_of: PassagesOf) -> None:
    """Whatever somebody types is words to look for."""
    store = passages_of("t")
    await _fill(store, {"a": "apples and pears", "b": "plums"})
    for text in (
        *("", "   ", "?!", "''", '"', "(", "a:*", "\x00", "* AND", "NOT apples", "-apples"),
        *("apples | !", "apples & plums <-> pears", "title: apples", "NEAR(apples, 2)", "\\"),
        *("'apples'; DROP TABLE passages", "apples" * 500, "wörter 漢字 🙂", "=0123456789abcdef"),
    ):
        found = await _by_words(store, text)
        expect(set(found) <= {"a", "b"}, f"{text!r} is searched for")
    expect("a" in await _by_words(store, "NOT apples"), "an operator is a word")
    either = sorted(await _by_words(store, "apples & plums"))
    expect_equal(either, ["a", "b"], "of any of its words")
    expect_equal(await _by_words(store, "and"), ["a"], "common words are found when alone")


async def check_named_documents(passages_of: PassagesOf) -> None:
    """A search may be narrowed to documents, by id or by source."""
    store = passages_of("t")
    await _fill(store, {"a": "text", "b": "text", "c": "text"})
    for named in (["a", "c.md"], ["a.md", "c", "unknown"]):
        near = [one.id for one in await _by_vector(store, documents=named)]
        expect_equal(near, ["a", "c"], "vectors of these documents")
        words = await _by_words(store, "text", documents=named)
        expect_equal(words, ["a", "c"], "words of these documents")
    expect_equal(await _by_words(store, "text", documents=["unknown"]), [], "or of none")
    expect_equal(await _by_vector(store, documents=["unknown"]), [], "vectors of none, too")


async def check_limits_are_checked(passages_of: PassagesOf) -> None:
    """A limit below 1 is the caller's mistake."""
    store = passages_of("t")
    await _fill(store, {"a": "text"})
    await expect_error(_by_vector(store, limit=0), "INVALID_REQUEST", "no hit is no search")
    await expect_error(
        store.search_keywords("text", index="i", limit=0), "INVALID_REQUEST", "for words, too"
    )


async def check_passages_side_by_side(passages_of: PassagesOf) -> None:
    """Writers and readers at once: nothing is lost, nothing is seen half."""
    store = passages_of("t")

    async def write(number: int) -> None:
        passages = [_passage(f"p{number}-{part}", "common") for part in range(3)]
        await store.put_document(_document(f"d{number % 4}"), [], index="i")
        await store.put_document(_document(f"e{number}"), passages, index="i")

    async def search() -> None:
        near = [one.id for one in await _by_vector(store)]
        expect_equal(len(set(near)), len(near), "a hit comes once")
        expect_equal(len(near) % 3, 0, "a document is there whole or not at all")
        words = await _by_words(store, "common")
        expect_equal(len(words) % 3, 0, "its words, too")

    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(write(number))
            group.create_task(search())
    expect_equal(await store.count(index="i"), 36, "all are there")
    expect_equal(len(await _by_vector(store)), 36, "all are found")


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / (math.hypot(*a) * math.hypot(*b))


PASSAGE_CHECKS: Final[tuple[PassageCheck, ...]] = (
    check_passage_round_trip,
    check_documents,
    check_passages_are_apart,
    check_vector_search,
    check_equal_scores,
    check_vectors_of_a_model,
    check_bad_vectors,
    check_keyword_search,
    check_nothing_is_syntax,
    check_named_documents,
    check_limits_are_checked,
    check_passages_side_by_side,
)
"""Every check; each wants a store that is empty."""
