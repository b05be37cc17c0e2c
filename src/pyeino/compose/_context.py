"""RunContext: what travels through one run of one graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyeino.callbacks import Handler
from pyeino.compose._runnable import ComponentOptions, NodeCallbacks, RunOptions


class RunContext:
    """The options and handlers of a run, seen from the graph at `path`.

    `watched` is False when no handler can be told anything in this graph or below.
    """

    __slots__ = ("components", "designated", "handlers", "max_steps", "path", "watched")

    def __init__(
        self,
        *,
        handlers: tuple[Handler, ...] = (),
        components: tuple[ComponentOptions, ...] = (),
        designated: tuple[NodeCallbacks, ...] = (),
        max_steps: int | None = None,
        path: tuple[str, ...] = (),
    ) -> None:
        self.handlers = handlers
        self.components = components
        self.designated = designated
        self.max_steps = max_steps
        self.path = path
        self.watched = bool(handlers or designated)

    def at(self, name: str) -> RunContext:
        """This context for the node `name`, with the handlers that are for it alone."""
        here = (*self.path, name)
        own = [one.handlers for one in self.designated if one.path == here]
        if not own:
            return self
        return RunContext(
            handlers=sum(own, self.handlers),
            components=self.components,
            designated=self.designated,
            max_steps=self.max_steps,
            path=self.path,
        )

    def inner(self, name: str) -> RunContext:
        """The context of the graph that is the node `name`; its step limit is its own."""
        return RunContext(
            handlers=self.handlers,
            components=self.components,
            designated=self.designated,
            path=(*self.path, name),
        )

    def for_node(self, name: str, kind: type[Any]) -> Any:
        """The options of type `kind` for the node `name`, later over earlier; None when none."""
        if not self.components:
            return None
        found: Any = None
        for entry in self.components:
            if type(entry.options) is not kind:
                continue
            if entry.path is None or entry.path == (*self.path, name):
                found = entry.options.over(found)
        return found

    def options_of(self, name: str) -> RunOptions:
        """The options of this run for a Runnable that is the node `name`: what goes to everybody,
        and what is for this node, which inside it goes to everybody.
        """
        place = (*self.path, name)
        components = tuple(
            replace(entry, path=None) for entry in self.components if entry.path in (None, place)
        )
        return RunOptions(callbacks=self.handlers, components=components)
