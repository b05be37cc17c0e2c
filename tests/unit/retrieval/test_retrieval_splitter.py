"""Passages: under their headings, within their bound, with overlap, nothing lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.components import TextParser
from pyeino.errors import DeclarationError
from pyeino.retrieval import HeadingSplitter, MarkdownParser, estimate_tokens
from pyeino.schema import Document


def _words(text: str) -> int:
    return len(text.split())


def _markdown(text: str) -> list[Document]:
    return MarkdownParser().parse(text.encode())


def test_passages_carry_the_path_of_their_headings() -> None:
    text = "# Guide\n\nIntro.\n\n## Setup\n\nOne.\n\n### Linux\n\nTwo.\n\n## Use\n\nThree.\n"
    found = HeadingSplitter().split(_markdown(text))
    assert [(one.meta_data["title"], one.content) for one in found] == [
        ("Guide", "Intro."),
        ("Guide > Setup", "One."),
        ("Guide > Setup > Linux", "Two."),
        ("Guide > Use", "Three."),
    ]


def test_a_heading_inside_a_fence_is_no_heading() -> None:
    found = HeadingSplitter().split(_markdown("# T\n\n```bash\n# not one\n\nmake\n```\n\nEnd.\n"))
    assert len(found) == 1
    assert "# not one\n\nmake" in found[0].content


def test_plain_text_has_no_headings() -> None:
    found = HeadingSplitter().split(TextParser().parse(b"# just text\n\nmore"))
    assert [one.content for one in found] == ["# just text\n\nmore"]


def test_long_sections_are_cut_with_overlap() -> None:
    text = "\n\n".join(f"Sentence number {number} is here." for number in range(40))
    splitter = HeadingSplitter(max_tokens=32, overlap_tokens=8, count_tokens=_words)
    found = splitter.split([Document(content=text)])
    assert all(_words(one.content) <= 32 for one in found)
    for before, after in itertools.pairwise(found):
        assert before.content.split("\n\n")[-1] == after.content.split("\n\n")[0]


@given(
    text=st.text(alphabet="ab #\n.|`-", max_size=400),
    size=st.integers(16, 40),
)
def test_nothing_is_lost_and_no_passage_is_too_long(text: str, size: int) -> None:
    splitter = HeadingSplitter(max_tokens=size, overlap_tokens=0, count_tokens=_words)
    found = splitter.split([Document(content=text)])
    assert "".join("".join(one.content.split()) for one in found) == "".join(text.split())
    assert all(_words(one.content) <= size for one in found)


def test_a_word_without_an_end_is_cut() -> None:
    splitter = HeadingSplitter(max_tokens=64, count_tokens=len)
    found = splitter.split([Document(content="x" * 1000)])
    assert "".join(one.content for one in found) == "x" * 1000
    assert max(len(one.content) for one in found) <= 64


@pytest.mark.parametrize("sizes", [(8, 0), (100, 51), (100, -1)])
def test_sizes_that_do_not_fit_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(DeclarationError):
        HeadingSplitter(max_tokens=sizes[0], overlap_tokens=sizes[1])


async def test_metadata_is_kept_and_the_document_unchanged() -> None:
    document = Document(content="text", meta_data={"page": 3})
    (found,) = await HeadingSplitter().transform_documents([document])
    assert found.meta_data == {"page": 3, "title": ""}
    assert document.meta_data == {"page": 3}


def test_the_estimate_grows_with_the_text() -> None:
    assert estimate_tokens("") == 1
    assert estimate_tokens("one two") < estimate_tokens("one two three four")
