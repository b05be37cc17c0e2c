"""What goes into a worker pool, and what comes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

DataT = TypeVar("DataT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[DataT, ResultT]):
    """Await `fn(data)`; `id` is given back with the result."""

    id: str
    data: DataT
    fn: Callable[[DataT], Awaitable[ResultT]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Generic[ResultT]):
    """How one job ended: `data` when `error` is None, else what the job raised.

    A job that was cancelled has a JobCancelledError.
    """

    id: str
    data: ResultT | None = None
    error: BaseException | None = None
