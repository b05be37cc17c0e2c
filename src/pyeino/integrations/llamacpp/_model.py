"""LlamaCppModel: a real chat model on the CPU, in this process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from pyeino.callbacks import TraceInfo
from pyeino.components import ModelInfo, ModelOptions
from pyeino.errors import AppError, DeclarationError
from pyeino.integrations.llamacpp._answer import AnswerReader
from pyeino.integrations.llamacpp._catalogue import CATALOGUE, DEFAULT_MODEL
from pyeino.integrations.llamacpp._engine import Engine, EngineOptions
from pyeino.integrations.llamacpp._gate import SlotGate, closed_error
from pyeino.integrations.llamacpp._generation import Generation, settle
from pyeino.integrations.llamacpp._request import build_request
from pyeino.integrations.llamacpp._tool_calls import ToolTurn, plan_tools
from pyeino.integrations.llamacpp._tool_prompts import asked_to_answer
from pyeino.monitoring import model_trace_info
from pyeino.schema import Message
from pyeino.streams import Stream

# The engine gives each slot a multiple of this many tokens.
_CONTEXT_STEP = 256


class LlamaCppModel:
    """A chat model that runs on the CPU of this machine, through llama.cpp; text only.

    Made with `await LlamaCppModel.load(path)`; whoever loads it closes it, with `async with` or
    `aclose`. It belongs to the event loop that it was loaded in. `slots` calls run at once, the
    next ones wait in line; a caller who leaves ends its generation in every phase, and its close
    returns when the slot is free again.

    Tools are called through constrained output, one call an answer: a tool that is forced gets
    arguments that follow its schema; whether and which tool is called is a constrained choice,
    which a small model makes badly (name the tool where you can). Both take the likeliest token,
    whatever `temperature` says.

    A `seed` gives the same answer again as long as the call runs alone: calls that run at once
    are computed together, which may change the last bits of the numbers and so a word.
    """

    def __init__(
        self, engine: Engine, *, gate: SlotGate, pool: ThreadPoolExecutor, info: ModelInfo
    ) -> None:
        """Internal; use `load`."""
        self._engine = engine
        self._gate = gate
        self._pool = pool
        self._info = info
        self._running: dict[Generation, float] = {}
        self._closing = False
        self._closed = False
        self._close_lock = asyncio.Lock()

    @classmethod
    async def load(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str = DEFAULT_MODEL,
        slots: int = 4,
        context: int = 8192,
        threads: int | None = None,
        max_queue: int = 32,
        queue_timeout: float = 60.0,
    ) -> Self:
        """Load the GGUF weights at `path`; takes about a second for a small model.

        `slots` calls share `context` tokens equally (rounded down to 256 each); `threads` are
        used to compute, by default one fewer than there are cores; `max_queue` calls may wait,
        each at most `queue_timeout` seconds.
        Raises NotFoundError MODEL_FILE_NOT_FOUND, ExternalError MODEL_LOAD_FAILED,
        MissingDependencyError, and DeclarationError for numbers that make no sense.
        """
        _check_numbers(
            slots=slots, context=context, threads=threads, max_queue=max_queue, wait=queue_timeout
        )
        options = EngineOptions(
            path=Path(path),
            slots=slots,
            context_per_slot=context // slots // _CONTEXT_STEP * _CONTEXT_STEP,
            threads=threads or max(1, _cores() - 1),
        )
        pool = ThreadPoolExecutor(slots, thread_name_prefix="pyeino-llama")
        loading = asyncio.get_running_loop().run_in_executor(pool, Engine, options)
        try:
            await settle(loading)
            engine = loading.result()
        except BaseException:
            if loading.done() and not loading.cancelled() and loading.exception() is None:
                pool.submit(loading.result().close)
            await _end_pool(pool)
            raise
        gate = SlotGate(slots, max_queue=max_queue, queue_timeout=queue_timeout)
        info = _describe(name, engine.context_per_slot)
        return cls(engine, gate=gate, pool=pool, info=info)

    @property
    def info(self) -> ModelInfo:
        """What the model is called and how many tokens one call has, prompt and answer."""
        return self._info

    def get_trace_info(self) -> TraceInfo:
        """Provider and model, for traces and metrics."""
        return model_trace_info(kind="ChatModel", name=self._info.id, provider=self._info.provider)

    @property
    def queue_length(self) -> int:
        """Calls that wait for a slot."""
        return self._gate.waiting

    @property
    def free_slots(self) -> int:
        """Calls that could begin at once."""
        return self._gate.free

    @property
    def active(self) -> int:
        """Calls that are being computed."""
        return len(self._running)

    async def generate(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Message:
        """Answer `messages` with one message; a cancel ends the generation before it goes on."""
        return await self.stream(messages, options=options).concat()

    def stream(
        self, messages: Sequence[Message], *, options: ModelOptions | None = None
    ) -> Stream[Message]:
        """Answer `messages` in chunks; the caller closes the stream, which ends the generation.

        The last chunk has finish_reason, usage, `extra["model"]` and, when `max_tokens` was more
        than the context leaves, `extra["applied"]`. Errors as the ChatModel Protocol says, and
        ValidationError for what a text model cannot read, InternalError MODEL_CLOSED (503).
        """
        return Stream.from_iterator(self._answer(tuple(messages), options or ModelOptions()))

    async def aclose(self) -> None:
        """End what runs and waits (their readers get MODEL_CLOSED) and every thread; idempotent."""
        self._closing = True
        self._gate.close()
        async with self._close_lock:
            if self._closed:
                return
            for generation in tuple(self._running):
                await generation.stop()
            ending = asyncio.get_running_loop().run_in_executor(self._pool, self._engine.close)
            await settle(ending)
            ending.result()
            await _end_pool(self._pool)
            self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _answer(
        self, messages: tuple[Message, ...], options: ModelOptions
    ) -> AsyncIterator[Message]:
        plan = plan_tools(messages, options)
        if plan is None or not messages:
            source = self._say(asked_to_answer(messages), replace(options, tools=None))
        else:
            source = ToolTurn(self._say, plan, messages, options).chunks()
        async with aclosing(source):
            async for chunk in source:
                yield chunk

    async def _say(
        self, messages: Sequence[Message], options: ModelOptions
    ) -> AsyncGenerator[Message]:
        """One generation: the chunks of a text."""
        request = build_request(messages, options, context_length=self._engine.context_per_slot)
        reader = AnswerReader(self._engine, model=self._info.id, asked_tokens=options.max_tokens)
        await self._gate.enter()
        generation = self._begin(request)
        try:
            while (chunk := await self._next(generation, reader, request)) is not None:
                if (message := reader.read(chunk)) is not None:
                    yield message
            if self._closing and not reader.finished:
                raise closed_error()
            yield reader.last()
        finally:
            await generation.stop()

    def _begin(self, request: dict[str, object]) -> Generation:
        """Start the call in the slot that the gate gave; the slot goes back when it has ended."""
        try:
            if self._closing:
                raise closed_error()
            generation = Generation(self._engine, request, pool=self._pool, on_end=self._end)
        except BaseException:
            self._gate.leave()
            raise
        self._running[generation] = time.monotonic()
        return generation

    def _end(self, generation: Generation) -> None:
        self._gate.note(time.monotonic() - self._running.pop(generation))
        self._gate.leave()

    async def _next(
        self, generation: Generation, reader: AnswerReader, request: dict[str, object]
    ) -> dict[str, object] | None:
        try:
            return await generation.next_chunk()
        except AppError:
            raise
        except Exception as error:
            raise reader.failure(error, has_schema="response_format" in request) from error


async def _end_pool(pool: ThreadPoolExecutor) -> None:
    """Join the threads of `pool`, not in the loop's own thread; a cancel waits for it."""
    await settle(asyncio.get_running_loop().run_in_executor(None, pool.shutdown))


def _describe(name: str, context_length: int) -> ModelInfo:
    known = CATALOGUE.get(name)
    description = "runs on this machine's CPU"
    if known is not None:
        description = f"{known.description}; {description}"
    return ModelInfo(
        id=name,
        provider="llamacpp",
        context_length=context_length,
        local=True,
        description=description,
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_numbers(
    *, slots: int, context: int, threads: int | None, max_queue: int, wait: float
) -> None:
    least = max(slots, 1) * _CONTEXT_STEP
    for name, value, low in (
        ("slots", slots, 1),
        ("context", context, least),
        ("threads", 1 if threads is None else threads, 1),
        ("max_queue", max_queue, 0),
        ("queue_timeout", wait, 0),
    ):
        if not value >= low:
            raise DeclarationError(
                f"{name} is too small",
                expected=f"at least {low}",
                found=str(value),
                where="LlamaCppModel.load",
                remedy=f"each slot needs {_CONTEXT_STEP} tokens of context"
                if name == "context"
                else None,
            )
