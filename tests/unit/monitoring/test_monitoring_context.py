"""Request ids: bound once, inherited by tasks, never written into logs by a client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.monitoring import bind_request, new_request_id, parse_traceparent, request_context

_VALID = f"00-{'a' * 32}-{'b' * 16}-01"


async def test_ids_are_inherited_by_tasks_and_gone_afterwards() -> None:
    async def look() -> str:
        await asyncio.sleep(0)
        return request_context().request_id

    async def serve(name: str) -> str:
        with bind_request(request_id=name):
            async with asyncio.TaskGroup() as group:
                task = group.create_task(look())
        return task.result()

    assert await asyncio.gather(serve("one"), serve("two")) == ["one", "two"]
    assert request_context().request_id == ""


@pytest.mark.parametrize("bad", [None, "", "a\nb", "x" * 129, 'quote"', "nul\0"])
def test_an_unfit_request_id_is_replaced(bad: str | None) -> None:
    with bind_request(request_id=bad) as context:
        assert context.request_id.startswith("req_")
        assert context.request_id != bad


def test_new_ids_differ() -> None:
    assert new_request_id() != new_request_id()


def test_a_traceparent_is_continued_with_a_span_of_our_own() -> None:
    with bind_request(traceparent=_VALID) as context:
        assert context.trace_id == "a" * 32
        assert context.span_id != "b" * 16
        sent = parse_traceparent(context.traceparent())
    assert sent is not None
    assert (sent.trace_id, sent.span_id, sent.sampled) == ("a" * 32, context.span_id, True)
    with bind_request() as context:
        assert context.traceparent() == ""


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"ff-{'a' * 32}-{'b' * 16}-01",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01-more",
    ],
)
def test_a_traceparent_that_is_not_valid_counts_as_absent(header: str | None) -> None:
    assert parse_traceparent(header) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert parse_traceparent(f"01-{'a' * 32}-{'b' * 16}-00-future") is not None


@given(st.text(max_size=70))
def test_no_header_breaks_the_parser(header: str) -> None:
    parse_traceparent(header)


async def test_a_generator_closed_from_another_context_does_no_harm() -> None:
    async def serve() -> AsyncIterator[str]:
        with bind_request(request_id="far"):
            yield request_context().request_id

    source = serve()

    async def start() -> str:
        return await anext(source)

    assert await asyncio.create_task(start()) == "far"
    await source.aclose()  # type: ignore[attr-defined]
    assert request_context().request_id == ""
