"""The scheduler: which node runs next, under either trigger, in either mode.

Precedence when several things happen in one step: a node's error, then END reached, then the
step limit. Order among equals is the order of declaration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from pyeino.compose._context import RunContext
from pyeino.compose._declaration import Trigger
from pyeino.compose._modes import Mode
from pyeino.compose._notes import note_error
from pyeino.compose._plan import Plan, PlanBranch, PlanEdge, PlanNode
from pyeino.errors import GraphRunError


async def run(plan: Plan, item: Any, context: RunContext, mode: Mode) -> Any:
    """Run a plan on an input to what arrives at END; everything else is freed before it returns."""
    limit = step_limit(plan, context)
    if plan.line is not None:
        return await _run_line(plan, item, context, mode)
    if plan.trigger is Trigger.ANY:
        return await StepRun(plan, context, mode, limit).run(item)
    return await _EagerRun(plan, context, mode).run(item)


async def call_node(node: PlanNode, item: Any, context: RunContext, mode: Mode) -> Any:
    """Run one node and put its name on what it raises."""
    try:
        return await mode.call(node, item, context)
    except Exception as error:
        note_error(error, node.name, context)
        raise


async def _run_line(plan: Plan, item: Any, context: RunContext, mode: Mode) -> Any:
    before = plan.nodes[0]
    for node in plan.line or ():
        item = _enter(before, node, item, mode)
        item = await call_node(node, item, context, mode)
        before = node
    return _enter(before, plan.nodes[-1], item, mode)


def _enter(before: PlanNode, node: PlanNode, item: Any, mode: Mode) -> Any:
    """What `node` of a line takes, out of what the node before it gave."""
    if node.assembly is not None:
        return mode.join(node, {before.name: item})
    check = before.edges[0].check
    return item if check is None else mode.check(item, check)


class StepRun:
    """Any-predecessor: supersteps; what a step gives is delivered before the next one starts."""

    def __init__(self, plan: Plan, context: RunContext, mode: Mode, limit: int) -> None:
        self._plan = plan
        self._context = context
        self._mode = mode
        self._limit = limit
        self._inbox: dict[int, list[tuple[int, Any]]] = {}

    async def run(self, item: Any) -> Any:
        """From START with the input of the run."""
        plan, mode = self._plan, self._mode
        edges = await route(plan.nodes[0], item, mode, self._context)
        return await self.go_on(plan.nodes[0], edges, steps=0)

    async def go_on(
        self, node: PlanNode, edges: Sequence[tuple[PlanEdge, Any]], *, steps: int
    ) -> Any:
        """From where `node` has just given what is on `edges`, after `steps` steps."""
        plan, mode = self._plan, self._mode
        done: Sequence[PlanNode] = (node,)
        self._put(node, edges)
        try:
            while plan.end not in self._inbox:
                if not self._inbox:
                    raise nothing_to_run(done)
                if steps >= self._limit:
                    waiting = [plan.nodes[index] for index in sorted(self._inbox)]
                    raise too_many_steps(self._limit, waiting)
                steps += 1
                done = await self._step()
            return mode.join(plan.nodes[-1], by_name(plan, self._inbox.pop(plan.end)))
        finally:
            await release_all(mode, (entry[1] for box in self._inbox.values() for entry in box))

    async def _step(self) -> Sequence[PlanNode]:
        plan, mode, context = self._plan, self._mode, self._context
        batch, self._inbox = self._inbox, {}
        nodes = [plan.nodes[index] for index in sorted(batch)]
        if len(nodes) == 1:
            item = mode.join(nodes[0], by_name(plan, batch[nodes[0].index]))
            outputs = [await call_node(nodes[0], item, context, mode)]
        else:
            boxes = [by_name(plan, batch[node.index]) for node in nodes]
            outputs = await _call_all(nodes, boxes, context, mode)
        waiting = list(zip(nodes, outputs, strict=True))
        try:
            while waiting:
                node, output = waiting.pop(0)
                self._put(node, await route(node, output, mode, context))
        finally:
            await release_all(mode, (output for _, output in waiting))
        return nodes

    def _put(self, node: PlanNode, edges: Iterable[tuple[PlanEdge, Any]]) -> None:
        for edge, item in edges:
            self._inbox.setdefault(edge.target, []).append((node.index, item))


class _EagerRun:
    """All-predecessor: a node starts as soon as none of its predecessors is waited for.

    It runs when one of them led to it, and is skipped when none did. In a workflow that is told
    apart from whether it was sent data.
    """

    def __init__(self, plan: Plan, context: RunContext, mode: Mode) -> None:
        self._plan = plan
        self._context = context
        self._mode = mode
        self._waiting = [set(node.sources) for node in plan.nodes]
        self._inbox: list[list[tuple[int, Any]]] = [[] for _ in plan.nodes]
        self._led: set[int] = set()
        self._unread: list[Any] = []
        self._ready: list[int] = []
        self._running: dict[asyncio.Task[Any], PlanNode] = {}
        self._given: dict[asyncio.Task[Any], Any] = {}
        self._last: Sequence[PlanNode] = plan.nodes[:1]

    async def run(self, item: Any) -> Any:
        plan = self._plan
        try:
            await self._finish(plan.nodes[0], item)
            while plan.end not in self._ready:
                if not self._ready and not self._running:
                    raise nothing_to_run(self._last)
                await self._go_on()
            return self._mode.join(plan.nodes[-1], by_name(plan, self._take(plan.end)))
        finally:
            await self._free()

    async def _go_on(self) -> None:
        ready = sorted(self._ready)
        self._ready.clear()
        nodes = [self._plan.nodes[index] for index in ready]
        if len(nodes) == 1 and not self._running:
            node = nodes[0]
            item = self._joined(node)
            await self._finish(node, await call_node(node, item, self._context, self._mode))
            return
        for node in nodes:
            item = self._joined(node)
            task = asyncio.create_task(
                call_node(node, item, self._context, self._mode), name=f"node {node.name}"
            )
            self._running[task] = node
            self._given[task] = item
        done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        ended = sorted(done, key=lambda task: self._running[task].index)
        for task in ended:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        for task in ended:
            node = self._running.pop(task)
            del self._given[task]
            await self._finish(node, task.result())

    def _joined(self, node: PlanNode) -> Any:
        try:
            return self._mode.join(node, by_name(self._plan, self._take(node.index)))
        except Exception as error:
            note_error(error, node.name, self._context)
            raise

    async def _finish(self, node: PlanNode, output: Any) -> None:
        self._last = (node,)
        edges = await route(node, output, self._mode, self._context)
        for edge, item in edges:
            if edge.carries:
                self._inbox[edge.target].append((node.index, item))
            if edge.leads:
                self._led.add(edge.target)
        for target in node.targets:
            self._report(node.index, target)
        while self._unread:
            await self._mode.release(self._unread.pop())

    def _report(self, source: int, target: int) -> None:
        """`source` has had its say; a node that nobody led to is skipped in its turn."""
        waiting = self._waiting[target]
        waiting.discard(source)
        if waiting:
            return
        if target in self._led:
            self._ready.append(target)
            return
        self._unread.extend(item for _, item in self._take(target))
        for following in self._plan.nodes[target].targets:
            self._report(target, following)

    def _take(self, index: int) -> list[tuple[int, Any]]:
        taken, self._inbox[index] = self._inbox[index], []
        return taken

    async def _free(self) -> None:
        """Cancel and await what still runs, then let go of what nobody will read."""
        await end_tasks(self._running)
        leftover = [*self._unread, *(entry[1] for box in self._inbox for entry in box)]
        for task, item in self._given.items():
            # a task that was cancelled before its first step has not closed what it was given
            leftover.append(task.result() if _succeeded(task) else item)
        await release_all(self._mode, leftover)


async def route(
    node: PlanNode, output: Any, mode: Mode, context: RunContext
) -> list[tuple[PlanEdge, Any]]:
    """Who is sent what `node` gave: its edges, and the ends that its branches pick.

    An edge that carries no data comes with None.
    """
    chosen = list(node.edges)
    if node.branches:
        readings = list(mode.split(output, len(node.branches) + 1))
        output = readings.pop()
        try:
            for branch in node.branches:
                chosen.extend(await _picked(node, branch, readings.pop(0), mode, context))
        except BaseException:
            await release_all(mode, [output, *readings])
            raise
    edges = list({edge.target: edge for edge in chosen if edge.carries}.values())
    others: list[tuple[PlanEdge, Any]] = [(edge, None) for edge in chosen if not edge.carries]
    if not edges:
        await mode.release(output)
        return others
    copies = mode.split(output, len(edges))
    sent = zip(edges, copies, strict=True)
    return [*((edge, mode.check(reading, edge.check)) for edge, reading in sent), *others]


async def _picked(
    node: PlanNode, branch: PlanBranch, reading: Any, mode: Mode, context: RunContext
) -> list[PlanEdge]:
    try:
        answer = await mode.decide(branch, reading)
    except Exception as error:
        note_error(error, f"{node.name} (branch)", context)
        raise
    return ends_of(node, branch, answer)


def ends_of(node: PlanNode, branch: PlanBranch, answer: Any) -> list[PlanEdge]:
    """The ends that an answer of the condition names. GraphRunError for one that is not there."""
    whole: Any = answer
    several = isinstance(answer, (list, tuple, set, frozenset))
    keys: list[Any] = [*whole] if several else [whole]
    edges: list[PlanEdge] = []
    for key in keys:
        if not isinstance(key, Hashable) or key not in branch.ends:
            raise GraphRunError(
                f"the branch behind {node.name!r} picked {key!r}, which is not one of its ends",
                code="UNINTENDED_END",
                expected=f"one of {list(branch.ends)}",
                found=repr(key),
                where=node.name,
                remedy="add the end to the branch, or mend the condition",
            )
        edges.append(branch.ends[key])
    # a set has no order of its own: ends keep the order of their declaration
    return (
        sorted(edges, key=lambda edge: edge.target)
        if isinstance(answer, (set, frozenset))
        else edges
    )


async def _call_all(
    nodes: Sequence[PlanNode], boxes: Sequence[dict[str, Any]], context: RunContext, mode: Mode
) -> list[Any]:
    """Run the nodes of one step side by side; the first failure cancels the others."""
    tasks: list[asyncio.Task[Any]] = []
    try:
        for node, box in zip(nodes, boxes, strict=True):
            call = call_node(node, mode.join(node, box), context, mode)
            tasks.append(asyncio.create_task(call, name=f"node {node.name}"))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        return [task.result() for task in sorted(tasks, key=_failed_first)]
    except BaseException:
        await end_tasks(tasks)
        outputs = [task.result() for task in tasks if _succeeded(task)]
        # a task that was cancelled before its first step has closed nothing
        await release_all(mode, [*outputs, *(item for box in boxes for item in box.values())])
        raise


def _failed_first(task: asyncio.Task[Any]) -> int:
    """Sorts what has failed before everything else, so that its error is the one that is raised."""
    return 0 if task.done() and not _succeeded(task) else 1


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and return when all of them have ended; a cancel meanwhile is raised after."""
    pending: list[asyncio.Task[Any]] = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    cancel: asyncio.CancelledError | None = None
    while pending:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as arrived:
            cancel = arrived
        pending = [task for task in pending if not task.done()]
    if cancel is not None:
        raise cancel


def _succeeded(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is None


async def release_all(mode: Mode, items: Iterable[Any]) -> None:
    """Let go of every item, also when letting go of one of them fails."""
    failure: BaseException | None = None
    for item in list(items):
        try:
            await mode.release(item)
        except BaseException as error:  # noqa: BLE001 - raised below, after the others
            failure = failure or error
    if failure is not None:
        raise failure


def nothing_to_run(done: Iterable[PlanNode]) -> GraphRunError:
    """The run has come to a place from which no edge leads on."""
    return GraphRunError(
        f"no tasks to execute, last completed nodes: [{', '.join(node.name for node in done)}]",
        code="NOTHING_TO_RUN",
        remedy="let each branch pick at least one end on every way to END",
    )


def step_limit(plan: Plan, context: RunContext) -> int:
    """How many steps this run may take. Raises GraphRunError when a line takes more for sure."""
    asked = context.max_steps
    if asked is not None and plan.trigger is Trigger.ALL:
        raise GraphRunError(
            'max_steps has no meaning with trigger="all"',
            code="MAX_STEPS_UNUSED",
            remedy="leave it out of the run's options: a graph without cycles ends by itself",
        )
    limit = asked or plan.max_steps
    if plan.line is not None and len(plan.line) > limit:
        raise too_many_steps(limit, plan.line[limit:])
    return limit


def too_many_steps(limit: int, waiting: Iterable[PlanNode]) -> GraphRunError:
    names = ", ".join(node.name for node in waiting)
    return GraphRunError(
        f"the run exceeds max steps ({limit}) with [{names}] still to run",
        code="MAX_STEPS",
        remedy="raise max_steps, or mend the condition that ends the loop",
    )


def by_name(plan: Plan, box: list[tuple[int, Any]]) -> dict[str, Any]:
    """What has arrived at a node, by the names of its predecessors, in their order."""
    return {plan.nodes[source].name: item for source, item in sorted(box, key=_source_of)}


def _source_of(entry: tuple[int, Any]) -> int:
    return entry[0]
