"""RunContext: what travels through one run of one graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyeino.callbacks import Handler
from pyeino.compose._runnable import ComponentOptions, RunOptions


class RunContext:
    """The options and handlers of a run, seen from the graph at `path`."""

    __slots__ = ("components", "handlers", "max_steps", "path")

    def __init__(
        self,
        *,
        handlers: tuple[Handler, ...] = (),
        components: tuple[ComponentOptions, ...] = (),
        max_steps: int | None = None,
        path: tuple[str, ...] = (),
    ) -> None:
        self.handlers = handlers
        self.components = components
        self.max_steps = max_steps
        self.path = path

    def inner(self, name: str) -> RunContext:
        """The context of the graph that is the node `name`; its step limit is its own."""
        return RunContext(
            handlers=self.handlers, components=self.components, path=(*self.path, name)
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
        """The options of this run for a Runnable that is the node `name`; paths begin inside it."""
        place = (*self.path, name)
        depth = len(place)
        components = tuple(
            entry if entry.path is None else replace(entry, path=entry.path[depth:])
            for entry in self.components
            if entry.path is None or (entry.path[:depth] == place and len(entry.path) > depth)
        )
        return RunOptions(callbacks=self.handlers, components=components)
