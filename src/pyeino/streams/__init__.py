"""Streams: made, copied, mapped, joined and closed; they know nothing of what flows through."""

from pyeino.streams._concat import concat_items, register_concat
from pyeino.streams._map import SkipItem
from pyeino.streams._pipe import StreamWriter, pipe
from pyeino.streams._stream import Stream

__all__ = ["SkipItem", "Stream", "StreamWriter", "concat_items", "pipe", "register_concat"]
