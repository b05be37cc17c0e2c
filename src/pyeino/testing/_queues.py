"""What every message queue has to pass.

    @pytest.mark.parametrize("check", QUEUE_CHECKS, ids=lambda check: check.__name__)
    async def test_conformance(check, database):
        await check(lambda tenant, name, options: database.scope(tenant=tenant).queue(name, …))

The function gives a new object on the same messages each time, as another process would have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from pyeino.stores import MAX_PAYLOAD_BYTES, Lease, Queue, QueueOptions
from pyeino.testing._expect import expect, expect_equal, expect_error

OpenQueue = Callable[[str, str, QueueOptions], Queue]
"""Opens the queue of a tenant under a name."""

QueueCheck = Callable[[OpenQueue], Awaitable[None]]

_PATIENCE: Final = 30.0
_BRIEF: Final = QueueOptions(visibility_timeout=0.15, max_attempts=3)


async def _next(queue: Queue) -> Lease:
    lease = await queue.receive(wait=_PATIENCE)
    if lease is None:
        raise AssertionError("broken promise: a message that is there is received")
    return lease


async def check_payloads_come_in_order(open_queue: OpenQueue) -> None:
    """What was put in comes out once, byte for byte, oldest first, and is gone when done."""
    queue = open_queue("t", "q", QueueOptions())
    payloads = [b"first", b"", b"\x00\xff" * 50, b"x" * MAX_PAYLOAD_BYTES, "ü".encode()]
    ids = [await queue.enqueue(payload) for payload in payloads]
    expect_equal(len(set(ids)), len(ids), "each message has an id of its own")
    expect_equal((await queue.counts()).ready, len(ids), "what was put in is ready")
    leases = [await _next(queue) for _ in ids]
    expect_equal([one.payload for one in leases], payloads, "oldest first, byte for byte")
    expect_equal([one.id for one in leases], ids, "under the id that was given")
    expect_equal({one.attempts for one in leases}, {1}, "the first lease is attempt 1")
    expect_equal(await queue.receive(), None, "a leased message is hidden")
    counts = await queue.counts()
    expect_equal((counts.ready, counts.leased, counts.length), (0, 5, 5), "leased counts")
    for lease in leases:
        expect(await queue.ack(lease), "the holder may acknowledge")
        expect(not await queue.ack(lease), "a second time there is nothing to acknowledge")
    expect_equal((await queue.counts()).length, 0, "what is done is gone")


async def check_an_id_is_taken_once(open_queue: OpenQueue) -> None:
    """Putting in an id that waits or is leased changes nothing; afterwards it is free again."""
    queue = open_queue("t", "q", QueueOptions())
    for payload in (b"one", b"two"):
        expect_equal(await queue.enqueue(payload, message_id="ü 🌍"), "ü 🌍", "the id is kept")
    lease = await _next(queue)
    await queue.enqueue(b"three", message_id="ü 🌍")
    expect_equal((lease.payload, (await queue.counts()).length), (b"one", 1), "the first counts")
    await queue.ack(lease)
    await queue.enqueue(b"four", message_id="ü 🌍")
    expect_equal((await _next(queue)).payload, b"four", "an id that is done is free again")
    both = await asyncio.gather(*(queue.enqueue(b"x", message_id="side") for _ in range(8)))
    expect_equal(set(both), {"side"}, "side by side they agree")
    expect_equal((await queue.counts()).ready, 1, "and there is one message")


async def check_a_dead_consumers_message_comes_again(open_queue: OpenQueue) -> None:
    """A lease that is neither extended nor acknowledged ends; its holder has lost the message."""
    dying, other = open_queue("t", "q", _BRIEF), open_queue("t", "q", _BRIEF)
    await dying.enqueue(b"work")
    await dying.enqueue(b"later")
    lost = await _next(dying)
    await dying.close()
    holder = open_queue("t", "q", _BRIEF)
    seen: list[Lease] = []
    while not seen or seen[-1].id != lost.id:
        seen.append(await _next(other))
        if seen[-1].id != lost.id:
            await other.ack(seen[-1])
    expect_equal((seen[-1].payload, seen[-1].attempts), (b"work", 2), "it is attempt 2")
    for late in (holder.ack(lost), holder.extend(lost), holder.nack(lost)):
        expect(not await late, "who lost the lease cannot act on the message any more")
    expect(not await holder.reject(lost, reason="late"), "nor reject it")
    expect(await other.extend(seen[-1]), "the new holder can")
    expect(await other.ack(seen[-1]), "and acknowledge")


async def check_a_lease_can_be_kept(open_queue: OpenQueue) -> None:
    """Who extends in time keeps the message for longer than the visibility timeout."""
    options = QueueOptions(visibility_timeout=1.0)
    queue = open_queue("t", "q", options)
    await queue.enqueue(b"long")
    lease = await _next(queue)
    for _ in range(6):
        await asyncio.sleep(0.25)
        expect(await queue.extend(lease), "the lease is still held")
    expect_equal((await queue.counts()).leased, 1, "nobody else got the message")
    expect(await queue.ack(lease), "the holder finishes")


async def check_two_consumers_share(open_queue: OpenQueue) -> None:
    """Consumers side by side get each message once, all of them together."""
    queue = open_queue("t", "q", QueueOptions())
    ids = {await queue.enqueue(str(number).encode()) for number in range(40)}
    taken: list[str] = []

    async def consume() -> None:
        own = open_queue("t", "q", QueueOptions())
        while (lease := await own.receive()) is not None:
            taken.append(lease.id)
            await asyncio.sleep(0)
            expect(await own.ack(lease), "nobody else has the lease")

    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(consume())
    expect_equal(len(taken), len(ids), "no message comes twice")
    expect_equal(set(taken), ids, "and none is left out")


async def check_nack_and_dead_letters(open_queue: OpenQueue) -> None:
    """A message given back comes again, later if wished, and dies after its last attempt."""
    queue = open_queue("t", "q", QueueOptions(max_attempts=2))
    before = datetime.now(UTC) - timedelta(seconds=60)
    await queue.enqueue(b"bad", message_id="m")
    await queue.enqueue(b"good", message_id="n")
    expect(await queue.nack(await _next(queue), delay=600, reason="no"), "it is given back")
    good = await _next(queue)
    expect_equal(good.id, "n", "the delayed one does not hold up the next")
    await queue.ack(good)
    expect_equal(await queue.receive(), None, "a delayed message is not ready")
    expect_equal((await queue.counts()).delayed, 1, "it is counted as delayed")

    await queue.enqueue(b"fails", message_id="f")
    expect(await queue.nack(await _next(queue), reason="first"), "given back at once")
    again = await _next(queue)
    expect_equal((again.id, again.attempts), ("f", 2), "it comes again at once")
    expect(await queue.nack(again, reason="second \x00"), "given back a last time")
    expect_equal(await queue.receive(), None, "a dead letter is not received")
    (letter,) = await queue.dead_letters()
    expect_equal((letter.id, letter.payload, letter.attempts), ("f", b"fails", 2), "it is kept")
    expect(letter.reason.startswith("second"), "with the last reason")
    expect(letter.died_at >= before and letter.died_at.tzinfo is not None, "and its time")
    expect_equal((await queue.counts()).dead, 1, "dead letters are counted apart")
    expect_equal((await queue.counts()).length, 1, "and are not waited for")

    await queue.enqueue(b"mended", message_id="f")
    expect_equal(list(await queue.dead_letters()), [], "putting it in again replaces it")
    mended = await _next(queue)
    expect_equal((mended.payload, mended.attempts), (b"mended", 1), "it begins anew")
    expect(await queue.reject(mended, reason="hopeless"), "rejected at once")
    (letter,) = await queue.dead_letters(limit=1)
    expect_equal((letter.attempts, letter.reason), (1, "hopeless"), "a dead letter right away")


async def check_leases_that_all_end_make_a_dead_letter(open_queue: OpenQueue) -> None:
    """A message that kills each of its consumers is not handed out for ever; the next one is."""
    options = QueueOptions(visibility_timeout=0.05, max_attempts=2)
    queue = open_queue("t", "q", options)
    await queue.enqueue(b"poison", message_id="p")
    for attempt in (1, 2):
        expect_equal((await _next(queue)).attempts, attempt, "each lease is counted")
    await queue.enqueue(b"fine", message_id="f")
    async with asyncio.timeout(_PATIENCE):
        while not await queue.dead_letters():
            lease = await queue.receive(wait=0.1)
            expect(lease is None or lease.id == "f", "the poison does not come a third time")
    (letter, *_) = await queue.dead_letters()
    expect("2 attempts" in letter.reason, "the reason says how often it was tried")


async def check_a_delay_ends(open_queue: OpenQueue) -> None:
    """A message put in with a delay is received when that is over, also by who waits already."""
    queue = open_queue("t", "q", QueueOptions())
    await queue.enqueue(b"later", delay=0.2)
    counts = await queue.counts()
    expect_equal(counts.ready + counts.delayed, 1, "it is there")
    expect_equal((await _next(queue)).payload, b"later", "and comes")


async def check_waiting_is_woken(open_queue: OpenQueue) -> None:
    """Who waits gets what is put in meanwhile, also by another object; else None in the end."""
    queue, other = open_queue("t", "q", QueueOptions()), open_queue("t", "q", QueueOptions())
    expect_equal(await queue.receive(wait=0.05), None, "nothing comes of nothing")
    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
        waiting = group.create_task(_next(queue))
        await asyncio.sleep(0.05)
        await other.enqueue(b"news")
    expect_equal(waiting.result().payload, b"news", "the waiter has it")


async def check_cancelled_receives_lose_nothing(open_queue: OpenQueue) -> None:
    """Receives that are cancelled at any moment cost at most a visibility timeout."""
    options = QueueOptions(visibility_timeout=0.15, max_attempts=1_000)
    queue = open_queue("t", "q", options)
    waiting = asyncio.create_task(queue.receive(wait=_PATIENCE))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    ids = {await queue.enqueue(b"x") for _ in range(5)}
    for turns in range(40):
        task = asyncio.create_task(queue.receive(wait=0.01))
        for _ in range(turns // 2):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    found: set[str] = set()
    async with asyncio.timeout(_PATIENCE):
        while found != ids:
            lease = await _next(queue)
            if await queue.ack(lease):
                found.add(lease.id)
    expect_equal((await queue.counts()).length, 0, "each message was done once")


async def check_the_bound_holds(open_queue: OpenQueue) -> None:
    """A full queue refuses the next message, and takes it when one is done; so do dead letters."""
    queue = open_queue("t", "q", QueueOptions(max_length=3, max_dead=2))
    for number in range(3):
        await queue.enqueue(b"x", message_id=f"m{number}")
    error = await expect_error(queue.enqueue(b"y"), "QUEUE_FULL", "one too many is refused")
    expect_equal(error.http_status, 507, "as no room")
    await queue.enqueue(b"x", message_id="m0")
    expect_equal((await queue.counts()).length, 3, "an id that is there is no new message")
    for number in range(3):
        await queue.reject(await _next(queue), reason=str(number))
    letters = await queue.dead_letters()
    expect_equal([one.reason for one in letters], ["2", "1"], "the newest dead letters are kept")
    await queue.enqueue(b"y")
    expect_equal((await queue.counts()).length, 1, "there is room again")


async def check_names_and_tenants_are_apart(open_queue: OpenQueue) -> None:
    """Neither another name nor another tenant sees a message, whatever the names hold."""
    options = QueueOptions()
    places = [("t", "q"), ("t", "r"), ("u", "q"), ("t:q", "q"), ("t", "q:q"), ("t:q:q", "q")]
    for tenant, name in places:
        payload = f"{tenant} {name}".encode()
        await open_queue(tenant, name, options).enqueue(payload, message_id="same")
    for tenant, name in places:
        queue = open_queue(tenant, name, options)
        expect_equal((await queue.counts()).ready, 1, "each has its own message")
        lease = await _next(queue)
        expect_equal(lease.payload, f"{tenant} {name}".encode(), "and nobody else's")
        await queue.ack(lease)


async def check_bad_arguments(open_queue: OpenQueue) -> None:
    """What no queue takes is refused, and changes nothing; a closed queue says so."""
    queue = open_queue("t", "q", QueueOptions())
    for call in (
        queue.enqueue(b"x" * (MAX_PAYLOAD_BYTES + 1)),
        queue.enqueue(b"x", message_id=""),
        queue.enqueue(b"x", message_id="i" * 257),
        queue.enqueue(b"x", message_id="half \ud800"),
        queue.enqueue(b"x", message_id="zero \x00"),
        queue.enqueue(b"x", delay=-1),
        queue.enqueue(b"x", delay=float("nan")),
        queue.dead_letters(limit=0),
    ):
        await expect_error(call, "INVALID_REQUEST", "a bad argument is refused")
    expect_equal((await queue.counts()).length, 0, "a refused call changes nothing")
    waiting = asyncio.create_task(queue.receive(wait=_PATIENCE))
    await asyncio.sleep(0.02)
    await queue.close()
    await queue.close()
    await expect_error(waiting, "STORE_CLOSED", "who waits is told")
    await expect_error(queue.enqueue(b"x"), "STORE_CLOSED", "a closed queue takes nothing")
    other = open_queue("t", "q", QueueOptions())
    await other.enqueue(b"x")
    expect_equal((await other.counts()).length, 1, "other objects go on")


QUEUE_CHECKS: Final[tuple[QueueCheck, ...]] = (
    check_payloads_come_in_order,
    check_an_id_is_taken_once,
    check_a_dead_consumers_message_comes_again,
    check_a_lease_can_be_kept,
    check_two_consumers_share,
    check_nack_and_dead_letters,
    check_leases_that_all_end_make_a_dead_letter,
    check_a_delay_ends,
    check_waiting_is_woken,
    check_cancelled_receives_lose_nothing,
    check_the_bound_holds,
    check_names_and_tenants_are_apart,
    check_bad_arguments,
)
"""Every check; each wants queues that are empty."""
