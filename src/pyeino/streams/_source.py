"""What a Stream stands on: something that is pulled, closed, and let go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Source(ABC, Generic[T]):
    """Where the items of a stream come from. Only the stream that owns it calls it.

    One pull at a time; `aclose` never runs beside a pull. All methods are safe to call again
    after the source has been closed.
    """

    __slots__ = ()

    @abstractmethod
    def puller(self) -> Callable[[], Awaitable[T]]:
        """The function that fetches one item; it is asked for once and called for each item.

        It raises StopAsyncIteration at the end; any other error is an item that failed.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Free everything; called once at the end or at an early close, whichever comes first."""

    @abstractmethod
    def abandon(self) -> None:
        """Free everything without waiting: the stream was garbage-collected."""

    @property
    def finished(self) -> bool:
        """True when an error that left `pull` also ended the source."""
        return False

    @property
    def cancel_safe(self) -> bool:
        """True when a cancelled pull loses no item and leaves the source usable."""
        return False


class Failure:
    """An error on its way through a buffer, so that it cannot be taken for an item."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error
