"""The native hot chunk: the same bytes as encoding the record, without encoding it."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pyeino.wire import ChunkFrames, encode_event

TEXT = st.text(st.characters(blacklist_categories=("Cs",)))


@given(message_id=TEXT, seq=st.integers(0, 10**12), delta=TEXT)
def test_the_hot_chunk_is_what_the_whole_record_would_be(
    message_id: str, seq: int, delta: str
) -> None:
    record = {"message_id": message_id, "seq": seq, "delta": delta}
    expected = encode_event(msgspec.json.encode(record), id=seq)
    assert ChunkFrames(message_id).delta(seq, delta) == expected
