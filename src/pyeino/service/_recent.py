"""Recent: answers of a store that may be believed for a few seconds more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")


class Recent(Generic[ValueT]):
    """At most `most` values by name, each for `ttl` seconds; the one unused longest goes first.

    A clock that is set back makes values old, not young again. Made for one event loop.
    """

    def __init__(self, *, ttl: float, most: int, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._most = most
        self._clock = clock
        self._values: OrderedDict[str, tuple[float, ValueT]] = OrderedDict()
        self._drops = 0

    @property
    def drops(self) -> int:
        """How often something was dropped: look before you ask, and give it to `put`."""
        return self._drops

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str) -> ValueT | None:
        """The value of `name`, when it is young enough."""
        found = self._values.get(name)
        if found is None:
            return None
        if not 0 <= self._clock() - found[0] < self._ttl:
            del self._values[name]
            return None
        self._values.move_to_end(name)
        return found[1]

    def put(self, name: str, value: ValueT, *, since: int | None = None) -> None:
        """Believe `value` from now on; not when something was dropped after `drops` was `since`.

        What a store says while a value is dropped may be what it said before.
        """
        if since is not None and since != self._drops:
            return
        self._values[name] = (self._clock(), value)
        self._values.move_to_end(name)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def drop(self, name: str) -> None:
        """Believe nothing of `name` any more."""
        self._drops += 1
        self._values.pop(name, None)
