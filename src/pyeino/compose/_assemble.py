"""Assembly: the input of a workflow's node, put together out of parts of what others gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyeino.compose._fields import Path
from pyeino.compose._guard import Check
from pyeino.compose._mapping import FieldMap
from pyeino.compose._pick import MISSING, Pick, missing_part
from pyeino.compose._sources import DeferredSource
from pyeino.errors import EmptyStreamError
from pyeino.streams import SkipItem, SourceEnd, Stream, concat_items, merge, merge_named

Flat = dict[Path, Any]
"""The parts that have come so far, by the place each goes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One mapping, resolved: where a part comes from, how it is read, where it goes.

    `by_chunk` says that the parts of chunks add up to the part of the whole.
    """

    source: str
    mapping: FieldMap
    pick: Pick
    check: Check | None
    by_chunk: bool


class Assembly:
    """How the input of one node is made, in value mode and in stream mode.

    `build` makes the input out of the parts. With `streams` it can be called for the parts of one
    chunk, and what it makes adds up; without, it is called once, with all of them.
    """

    __slots__ = (
        "_by_source",
        "_fixed",
        "_named",
        "_steps",
        "build",
        "constants",
        "empty",
        "streams",
        "takes",
        "target",
    )

    def __init__(
        self,
        target: str,
        takes: Sequence[Take],
        constants: Flat,
        *,
        build: Callable[[Flat], Any],
        empty: Callable[[], Any],
        streams: bool,
        named: bool = False,
    ) -> None:
        self.target = target
        self.takes = tuple(takes)
        self.constants = constants
        self.build = build
        self.empty = empty
        self.streams = streams
        # an input that is a dict of parts is filled as it is, without a place for each part
        self._named = named
        self._fixed: dict[Any, Any] = build(constants) if named and constants else constants
        self._steps = tuple(
            (
                take.source,
                take.pick,
                take.check,
                take.mapping.target[0] if named else take.mapping.target,
                take,
            )
            for take in takes
        )
        self._by_source: dict[str, list[Take]] = {}
        for take in takes:
            self._by_source.setdefault(take.source, []).append(take)

    def of_values(self, items: Mapping[str, Any]) -> Any:
        """The input, from the values of those sources that were not skipped.

        `items` may hold more than the sources of this node.

        Raises GraphRunError for a part that is not there or is of the wrong type.
        """
        flat = self._fixed.copy()
        for source, pick, check, place, take in self._steps:
            value = items.get(source, MISSING)
            if value is MISSING:
                continue
            part = pick(value)
            if part is MISSING:
                part = _part(take, value, self.target)
            flat[place] = part if check is None else check(part)
        if not flat:
            return self.empty()
        return flat if self._named else self.build(flat)

    def of_value(self, source: str) -> Check:
        """The same for a node with a single source, as a function of its value."""
        return lambda value: self.of_values({source: value})

    def of_streams(self, items: Mapping[str, Stream[Any]], *, marks_ends: bool) -> Stream[Any]:
        """The input as a stream; each of `items` is read to its end or closed with it."""
        if not items:
            return Stream.of([self.build(self.constants) if self.constants else self.empty()])
        parts = {
            name: _flat_stream(item, self._by_source[name], self.target)
            for name, item in items.items()
        }
        if not self.streams:
            return self._built_at_the_end(merge(list(parts.values())))
        if marks_ends:
            return self._built(merge_named(parts).map(_item_or_end))
        streams = list(parts.values())
        return self._built(streams[0] if len(streams) == 1 else merge(streams))

    def _built(self, flats: Stream[Any]) -> Stream[Any]:
        build, waiting = self.build, self.constants

        def chunk(flat: Any) -> Any:
            nonlocal waiting
            if flat.__class__ is SourceEnd:
                return flat
            if waiting:  # constants go out with the first chunk
                flat, waiting = {**waiting, **flat}, {}
            return build(flat)

        return flats.map(chunk)

    def _built_at_the_end(self, flats: Stream[Flat]) -> Stream[Any]:
        async def open() -> Stream[Any]:
            flat = self.constants | await flats.concat()
            return Stream.of([self.build(flat)])

        return Stream(DeferredSource(open, unused=flats.aclose))


def _part(take: Take, value: Any, target: str) -> Any:
    part = take.pick(value)
    if part is MISSING:
        raise missing_part(value, take.mapping.source, source=take.source, target=target)
    return part if take.check is None else take.check(part)


def _item_or_end(item: Any) -> Any:
    return item if isinstance(item, SourceEnd) else item[1]


def _flat_stream(stream: Stream[Any], takes: Sequence[Take], target: str) -> Stream[Flat]:
    reading = _Reading(takes, target)
    return stream.map(reading.chunk, on_end=reading.end)


class _Reading:
    """Takes its parts out of the chunks of one source, and at the end what needs the whole."""

    __slots__ = ("_chunks", "_gathers", "_last", "_nones", "_takes", "_target", "_unseen")

    def __init__(self, takes: Sequence[Take], target: str) -> None:
        self._takes = [take for take in takes if take.by_chunk]
        self._gathers = [take for take in takes if not take.by_chunk]
        self._target = target
        self._unseen = {take.mapping.target: take for take in self._takes}
        self._nones: set[Path] = set()
        self._chunks: list[Any] = []
        self._last: Any = MISSING

    def chunk(self, chunk: Any) -> Flat:
        """The parts that are in one chunk; a part that is not there may be in another."""
        if chunk.__class__ is SourceEnd:
            raise SkipItem
        self._last = chunk
        if self._gathers:
            self._chunks.append(chunk)
        flat: Flat = {}
        for take in self._takes:
            part = take.pick(chunk)
            if part is MISSING:
                continue
            place = take.mapping.target
            if take.check is not None:
                if part is None:  # says "nothing yet"; whether it may stay so is seen at the end
                    self._nones.add(place)
                    continue
                part = take.check(part)
            self._unseen.pop(place, None)
            flat[place] = part
        if not flat:
            raise SkipItem
        return flat

    def end(self) -> Flat | None:
        """The parts of the whole, and an error for each that has not come by now."""
        if self._last is MISSING:
            raise EmptyStreamError(
                f"the stream for {self._target!r} ended without an item",
                expected="at least one item to take fields from",
            )
        flat: Flat = {}
        for place, take in self._unseen.items():
            if place in self._nones and take.check is not None:
                flat[place] = take.check(None)
            else:
                flat[place] = _part(take, self._last, self._target)
        if self._gathers:
            whole, self._chunks = concat_items(self._chunks), []
            for take in self._gathers:
                flat[take.mapping.target] = _part(take, whole, self._target)
        return flat or None
