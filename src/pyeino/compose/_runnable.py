"""Runnable: four ways to call the same thing, and the options of one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pyeino.callbacks import Handler
from pyeino.streams import Stream

InT_contra = TypeVar("InT_contra", contravariant=True)
OutT_co = TypeVar("OutT_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentOptions:
    """Options for components of one kind, everywhere or at one place.

    `options` is an options record such as ModelOptions; it goes to every node that takes this
    type of record, or only to the node at `path` (names from the outermost graph inwards).
    """

    options: Any
    path: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCallbacks:
    """Handlers for one place: the node at `path`, and everything inside it when it is a graph."""

    handlers: tuple[Handler, ...]
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of one run.

    `callbacks` are told what happens in this run, `node_callbacks` what happens at one place of
    it; `max_steps` (≥ 1) overrides the compiled step
    limit; `timeout` is a budget in seconds for the whole run, after which it raises TimeoutError;
    `components` are options for the components inside. A path that leads to no node is a
    DeclarationError.
    """

    callbacks: tuple[Handler, ...] = ()
    max_steps: int | None = None
    timeout: float | None = None
    components: tuple[ComponentOptions, ...] = ()
    node_callbacks: tuple[NodeCallbacks, ...] = ()

    @classmethod
    def of(cls, *options: Any, callbacks: tuple[Handler, ...] = ()) -> RunOptions:
        """Options records that go to every component that takes them, e.g. ModelOptions."""
        return cls(
            callbacks=callbacks,
            components=tuple(ComponentOptions(options=record) for record in options),
        )


class Runnable(Protocol[InT_contra, OutT_co]):
    """Anything that can be called in the four shapes.

    A value or a stream goes in, a value or a stream comes out. The caller of `stream` and
    `transform` closes the stream it is given; `collect` and `transform` close the stream they take.
    Work begins at the first read of a returned stream.
    """

    async def invoke(self, input: InT_contra, *, options: RunOptions | None = None) -> OutT_co:
        """Value in, value out."""
        ...

    def stream(self, input: InT_contra, *, options: RunOptions | None = None) -> Stream[OutT_co]:
        """Value in, stream out."""
        ...

    async def collect(
        self, stream: Stream[InT_contra], *, options: RunOptions | None = None
    ) -> OutT_co:
        """Stream in, value out."""
        ...

    def transform(
        self, stream: Stream[InT_contra], *, options: RunOptions | None = None
    ) -> Stream[OutT_co]:
        """Stream in, stream out."""
        ...
