"""Citations as the annotations of OpenAI's API, so that its clients find the sources."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

import msgspec


class UrlCitation(msgspec.Struct, frozen=True, kw_only=True):
    """One passage that the answer rests on, as all of it does: the indexes span its whole text.

    `url` is the source as a relative reference, such as `docs/retrieval.md`. `id`, `source`,
    `score` and `text` are ours, the same as in `metadata.citations` of the native routes.
    """

    start_index: int
    end_index: int
    url: str
    title: str
    id: str
    source: str
    score: float
    text: str


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader is told about the answer's text."""

    url_citation: UrlCitation
    type: str = "url_citation"


class _Cited(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    source: str = ""
    title: str = ""
    score: float = 0.0
    text: str = ""


def annotations_of(citations: object, *, length: int) -> tuple[Annotation, ...]:
    """The annotations of an answer of `length` characters; () for what holds no citations.

    A chain of the user's may put anything under that name: what is no citation is left out.
    """
    if not isinstance(citations, list):
        return ()
    made: list[Annotation] = []
    for one in cast("list[object]", citations):
        try:
            cited = msgspec.convert(one, _Cited)
        except msgspec.ValidationError:
            continue
        made.append(_annotation(cited, length))
    return tuple(made)


def _annotation(cited: _Cited, length: int) -> Annotation:
    return Annotation(
        url_citation=UrlCitation(
            start_index=0,
            end_index=length,
            # A name with a colon in its first part would be taken for one with a scheme.
            url=quote(cited.source, safe="/"),
            title=cited.title or cited.source,
            id=cited.id,
            source=cited.source,
            score=cited.score,
            text=cited.text,
        )
    )
