"""Server-sent events: what is written is what is read, wherever the bytes are cut."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.wire import HEARTBEAT, SSEDecoder, SSEError, SSEEvent, encode_comment, encode_event

NAME = st.text(
    st.characters(blacklist_characters="\r\n\0", blacklist_categories=("Cs",)), min_size=1
)
DATA = st.text(st.characters(blacklist_categories=("Cs",)))


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(raw), *(place % (len(raw) + 1) for place in places)})
    return [raw[a:b] for a, b in itertools.pairwise(marks)]


@given(
    events=st.lists(st.tuples(DATA, NAME, st.integers(0, 10**9)), max_size=6),
    places=st.lists(st.integers(0, 10_000), max_size=30),
    comment=DATA,
)
def test_frames_read_back_the_same_under_any_cut(
    events: list[tuple[str, str, int]], places: list[int], comment: str
) -> None:
    raw = b"".join(
        encode_comment(comment) + encode_event(data, event=name, id=number)
        for data, name, number in events
    )
    decoder = SSEDecoder()
    found = [event for part in cut(raw, places) for event in decoder.feed(part)]
    # Line ends of any kind in the data are lines of the event, which a reader joins with "\n".
    assert found == [
        SSEEvent(data=re.sub(r"\r\n|\r", "\n", data), event=name, id=str(number))
        for data, name, number in events
    ]


@given(
    raw=st.lists(
        st.sampled_from(
            [
                b"data",
                b":",
                b" ",
                b"x",
                b"\r",
                b"\n",
                b"\r\n",
                b"id",
                b"event",
                b"retry",
                b"7",
                b"\0",
                b"\xef\xbb\xbf",
                b"\xff",
                b"\n\n",
            ]
        ),
        max_size=60,
    ).map(b"".join),
    places=st.lists(st.integers(0, 10_000), max_size=30),
)
def test_any_bytes_give_the_same_events_under_any_cut(raw: bytes, places: list[int]) -> None:
    whole = SSEDecoder()
    expected = whole.feed(raw)
    decoder = SSEDecoder()
    found = [event for part in cut(raw, places) for event in decoder.feed(part)]
    assert found == expected
    assert (decoder.retry, decoder.last_event_id) == (whole.retry, whole.last_event_id)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: a\n\n", [SSEEvent(data="a")]),
        (b"\xef\xbb\xbfdata:a\r\rdata:b\r\n\r\n", [SSEEvent(data="a"), SSEEvent(data="b")]),
        (b"data\n\n", [SSEEvent(data="")]),
        (b"data\ndata\n\n", [SSEEvent(data="\n")]),
        (b"data:  two\n\n", [SSEEvent(data=" two")]),
        (b"event: x\n\ndata: y\n\n", [SSEEvent(data="y")]),
        (b"id: 4\n\ndata: y\n\n", [SSEEvent(data="y", id="4")]),
        (b"id: 4\ndata: y\n\nid\ndata: z\n\n", [SSEEvent(data="y", id="4"), SSEEvent(data="z")]),
        (b"id: 4\0\ndata: y\n\n", [SSEEvent(data="y")]),
        (b": comment\nunknown: 1\ndata: y\n\n", [SSEEvent(data="y")]),
        (b"data: open at the end\n", []),
    ],
)
def test_reads_what_the_standard_says(raw: bytes, expected: list[SSEEvent]) -> None:
    assert SSEDecoder().feed(raw) == expected


def test_a_carriage_return_ends_an_event_without_waiting_for_more() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\r") == [SSEEvent(data="a")]
    assert decoder.feed(b"\ndata: b\r") == []
    assert decoder.feed(b"\n\r\n") == [SSEEvent(data="b")]


def test_retry_is_read_when_it_is_digits() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"retry: 2000\n\nretry: soon\n\nretry:\n\n")
    assert decoder.retry == 2000
    assert encode_event("x", retry=5, id=1).startswith(b"retry: 5\nid: 1\n")


def test_the_heartbeat_is_a_comment() -> None:
    assert SSEDecoder().feed(HEARTBEAT) == []


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\0b"])
def test_names_cannot_break_out_of_their_line(name: str) -> None:
    with pytest.raises(SSEError, match="line end or NUL"):
        encode_event("x", event=name)
    with pytest.raises(SSEError, match="line end or NUL"):
        encode_event("x", id=name)


@pytest.mark.parametrize("raw", [b"data: " + b"x" * 200, b"data: xxxxxxxx\n" * 20])
def test_an_event_without_end_is_refused(raw: bytes) -> None:
    decoder = SSEDecoder(max_event_bytes=100)
    with pytest.raises(SSEError, match="at most 100 bytes"):
        decoder.feed(raw)
