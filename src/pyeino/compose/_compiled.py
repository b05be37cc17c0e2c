"""Compiled: a plan that can be called in the four shapes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from typing import Any, Generic, TypeVar

from pyeino.callbacks import RunInfo
from pyeino.compose._check import check
from pyeino.compose._context import RunContext
from pyeino.compose._declaration import Declaration, Trigger
from pyeino.compose._draw import draw
from pyeino.compose._engine import run
from pyeino.compose._explain import explain
from pyeino.compose._line import run_value_line
from pyeino.compose._modes import FlowMode, ValueMode
from pyeino.compose._observe import observe
from pyeino.compose._plan import Plan, make_plan
from pyeino.compose._run_options import context_of
from pyeino.compose._runnable import RunOptions
from pyeino.compose._sequence import run_value_sequence
from pyeino.compose._shapes import Shapes, derive_flow, derive_value
from pyeino.compose._sources import DeferredSource
from pyeino.compose._walk import run_value_walk
from pyeino.errors import CompileError, DeclarationError
from pyeino.streams import Stream

InT = TypeVar("InT")
OutT = TypeVar("OutT")

_VALUES = ValueMode()
_FLOWS = FlowMode()


class Compiled(Generic[InT, OutT]):
    """A checked, frozen graph: call it, stream it, put it into another graph.

    It holds no state of a run and can be called by many at once. `name` is what traces, errors
    and drawings call it; `kind` is Graph or Chain.
    """

    def __init__(self, plan: Plan, declaration: Declaration, name: str) -> None:
        """Internal; use `compile()` of a Chain or Graph."""
        self.name = name
        self.kind = declaration.kind
        self.input_type: Any = declaration.input_type
        self.output_type: Any = declaration.output_type
        self.plan = plan
        self._info = RunInfo(name=name or self.kind, type="", component=self.kind)
        watched = observe(Shapes(invoke=self._run_values, transform=self._open_flow), self._info)
        self._watched_value = derive_value(watched)
        self._watched_flow = derive_flow(watched)

    @classmethod
    def of(
        cls,
        declaration: Declaration,
        *,
        name: str,
        trigger: Trigger,
        max_steps: int | None,
        source_ends: Collection[str] = (),
    ) -> Compiled[Any, Any]:
        """Check and plan a declaration. Raises CompileError with every problem found."""
        problems = check(declaration, trigger=trigger, max_steps=max_steps, source_ends=source_ends)
        if problems:
            raise CompileError(tuple(problems))
        plan = make_plan(declaration, trigger=trigger, max_steps=max_steps, source_ends=source_ends)
        return cls(plan, declaration, name)

    async def invoke(self, input: InT, *, options: RunOptions | None = None) -> OutT:
        """Run on a value and give a value.

        What a node raises comes out unchanged, with `errors.node_path(error)` telling the node.
        Raises GraphRunError when the engine cannot go on, TimeoutError past `options.timeout`.
        """
        output: OutT
        context = self._context(options)
        if options is None or options.timeout is None:
            output = await self.run_value(input, context)
        else:
            async with asyncio.timeout(options.timeout):
                output = await self.run_value(input, context)
        return output

    def stream(self, input: InT, *, options: RunOptions | None = None) -> Stream[OutT]:
        """Run on a value and give the output as it comes; the caller closes the stream.

        Nothing runs before the first read. Closing the stream cancels what still runs.
        """
        return self.transform(Stream.of([input]), options=options)

    async def collect(self, stream: Stream[InT], *, options: RunOptions | None = None) -> OutT:
        """Run on a stream, which is closed, and give a value."""
        return await self.transform(stream, options=options).concat()

    def transform(self, stream: Stream[InT], *, options: RunOptions | None = None) -> Stream[OutT]:
        """Run on a stream and give the output as it comes; the caller closes what it is given."""
        context = self._context(options)

        async def open() -> Stream[OutT]:
            return await self.run_flow(stream, context)

        timeout = None if options is None else options.timeout
        return Stream(DeferredSource(open, unused=stream.aclose, timeout=timeout))

    async def batch(
        self,
        inputs: Iterable[InT],
        *,
        options: RunOptions | None = None,
        max_concurrency: int = 16,
    ) -> list[OutT]:
        """Run on each input, at most `max_concurrency` at a time; outputs in the order of inputs.

        The first failure cancels the others and is raised.
        """
        if max_concurrency < 1:
            raise DeclarationError(
                "max_concurrency is out of range", expected="at least 1", found=str(max_concurrency)
            )
        slots = asyncio.Semaphore(max_concurrency)

        async def one(item: InT) -> OutT:
            async with slots:
                return await self.invoke(item, options=options)

        tasks: list[asyncio.Task[OutT]] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks.extend(group.create_task(one(item)) for item in inputs)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    def invoke_sync(self, input: InT, *, options: RunOptions | None = None) -> OutT:
        """`invoke` for programs without an event loop. Raises RuntimeError inside one."""
        return asyncio.run(self.invoke(input, options=options))

    def stream_sync(self, input: InT, *, options: RunOptions | None = None) -> Iterator[OutT]:
        """`stream` for programs without an event loop; close the generator to stop early."""
        with asyncio.Runner() as runner:
            stream = self.stream(input, options=options)
            try:
                while True:
                    try:
                        item = runner.run(_next(stream))
                    except StopAsyncIteration:
                        return
                    yield item
            finally:
                runner.run(stream.aclose())

    def draw(self) -> str:
        """The graph as Mermaid text."""
        return draw(self.plan, name=self.name)

    def explain(self) -> str:
        """The plan as readable straight-line asyncio code."""
        return explain(self.plan, name=self.name)

    async def run_value(self, value: Any, context: RunContext) -> Any:
        """Run in value mode under an outer run's context."""
        if context.watched:
            return await self._watched_value(value, context)
        if self.plan.line is not None:
            return await run_value_line(self.plan, value, context)
        if self.plan.walkable:
            return await run_value_walk(self.plan, value, context)
        if self.plan.sequence is not None:
            steps = self.plan.sequence
            return await run_value_sequence(self.plan, value, context, steps=steps)
        return await run(self.plan, value, context, _VALUES)

    async def run_flow(self, stream: Stream[Any], context: RunContext) -> Stream[Any]:
        """Run in stream mode under an outer run's context; `stream` is closed by the run."""
        if context.watched:
            return await self._watched_flow(stream, context)
        return await self._run_flows(stream, context)

    def _context(self, options: RunOptions | None) -> RunContext:
        """The context of an outermost run. Raises DeclarationError for options that cannot be."""
        return RunContext() if options is None else context_of(options, self.plan)

    async def _run_values(self, value: Any, context: RunContext) -> Any:
        return await run(self.plan, value, context, _VALUES)

    async def _run_flows(self, stream: Stream[Any], context: RunContext) -> Stream[Any]:
        try:
            output: Stream[Any] = await run(self.plan, stream, context, _FLOWS)
        except BaseException:
            await stream.aclose()
            raise
        return output

    def _open_flow(self, stream: Stream[Any], context: RunContext) -> Stream[Any]:
        async def open() -> Stream[Any]:
            return await self._run_flows(stream, context)

        return Stream(DeferredSource(open, unused=stream.aclose))


async def _next(stream: AsyncIterator[OutT]) -> OutT:
    return await stream.__anext__()
