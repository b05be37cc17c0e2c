"""What a Stream stands on: something that is pulled, closed, and let go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

T = TypeVar("T")


class Source(ABC, Generic[T]):
    """Where the items of a stream come from; subclass it and pass it to `Stream(source)`.

    Most streams need none: an async generator and `Stream.from_iterator` do. Only the stream that
    owns a source calls it, one pull at a time, and `aclose` never beside a pull.
    `aclose` and `abandon` do nothing when the source is already closed.
    """

    __slots__ = ()

    @abstractmethod
    def puller(self) -> Callable[[], Awaitable[T]]:
        """The function that fetches one item; it is asked for once and called for each item.

        It raises StopAsyncIteration at the end; any other error is an item that failed.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Free everything, at the end or at an early close, whichever comes first."""

    @abstractmethod
    def abandon(self) -> None:
        """Free everything without waiting: the stream was garbage-collected."""

    @property
    def finished(self) -> bool:
        """True when the error that has just left a pull also ended the source."""
        return False

    @property
    def may_fail(self) -> bool:
        """False when no item can ever be an error: there is nothing to watch for."""
        return True

    @property
    def cancel_safe(self) -> bool:
        """True when a cancelled pull loses no item and leaves the source usable."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEnd:
    """Among the items of `merge_named`: the stream called `name` has ended."""

    name: str


class Failure:
    """An error on its way through a buffer, so that it cannot be taken for an item."""

    __slots__ = ("_error", "_traceback")

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._traceback = error.__traceback__

    def throw(self) -> NoReturn:
        """Raise the error with the traceback it came with.

        Several readers may raise the same error; each starts from the original traceback, so
        that it does not grow with the number of readers.
        """
        raise self._error.with_traceback(self._traceback)
