"""Streams: made, copied, mapped, merged and closed; they know nothing of what flows through."""

from pyeino.streams._buffer import StreamBuffer
from pyeino.streams._concat import concat_by_position, concat_items, register_concat
from pyeino.streams._map import SkipItem
from pyeino.streams._merge import merge, merge_named
from pyeino.streams._pipe import StreamWriter, pipe
from pyeino.streams._source import Source, SourceEnd
from pyeino.streams._stream import Stream, take

__all__ = [
    "SkipItem",
    "Source",
    "SourceEnd",
    "Stream",
    "StreamBuffer",
    "StreamWriter",
    "concat_by_position",
    "concat_items",
    "merge",
    "merge_named",
    "pipe",
    "register_concat",
    "take",
]
