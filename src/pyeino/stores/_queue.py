"""What a message queue promises, whatever it is built on.

Delivery is at least once: a message is hidden from others while somebody has a lease on it, and
comes again when the lease is over before it was acknowledged. Who takes a message must therefore
bear to take it twice. A call that returned has been stored; one that raised has changed nothing,
or, when the connection broke half-way, may be done again without harm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

import msgspec

from pyeino.stores._errors import invalid_argument

MAX_PAYLOAD_BYTES: Final = 262_144
MAX_MESSAGE_ID_BYTES: Final = 256
MAX_REASON_CHARACTERS: Final = 2_000
MAX_DELAY: Final = 30 * 86_400.0


class QueueOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a queue behaves; everybody who opens a queue of this name gives the same ones.

    A lease lasts `visibility_timeout` seconds and may be extended. After `max_attempts` leases
    without an acknowledgement a message becomes a dead letter. At most `max_length` messages wait
    or are leased; at most `max_dead` dead letters are kept, the newest ones.
    """

    visibility_timeout: float = 30.0
    max_attempts: int = 5
    max_length: int = 100_000
    max_dead: int = 1_000

    def __post_init__(self) -> None:
        """ValueError for a bound that no queue can keep."""
        if not (math.isfinite(self.visibility_timeout) and self.visibility_timeout > 0):
            raise ValueError("visibility_timeout must be more than 0 seconds")
        if min(self.max_attempts, self.max_length, self.max_dead) < 1:
            raise ValueError("max_attempts, max_length and max_dead must be at least 1")


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is yours until its lease is over.

    `attempts` counts the leases on it, this one included. `token` is the queue's own.
    """

    id: str
    payload: bytes
    attempts: int
    token: str


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that nobody will get again, and the reason that was given last."""

    id: str
    payload: bytes
    attempts: int
    reason: str
    died_at: datetime


class QueueCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages there are: `ready` to be received, `delayed`, `leased`, and `dead`."""

    ready: int = 0
    delayed: int = 0
    leased: int = 0
    dead: int = 0

    @property
    def length(self) -> int:
        """How many are not done: ready, delayed or leased."""
        return self.ready + self.delayed + self.leased


@runtime_checkable
class Queue(Protocol):
    """Messages of one tenant under one name, oldest first.

    Made by `database.scope(tenant=…).queue(name)`, or on Redis by `database.queue(name,
    tenant=…)`; any number of processes may use it at once. Order: what one producer put in comes
    out in that order, as long as there is one consumer and nothing is delayed, given back or
    lost. Payloads have at most 262,144 bytes, ids 1 to 256 bytes of UTF-8: ValidationError
    INVALID_REQUEST. A store in trouble raises ExternalError or InternalError. A cancelled
    `receive` loses nothing: at the latest after the visibility timeout the message comes again.
    """

    @property
    def options(self) -> QueueOptions:
        """How this queue behaves."""
        ...

    async def enqueue(
        self, payload: bytes, *, message_id: str | None = None, delay: float = 0.0
    ) -> str:
        """Put a message in, to be received after `delay` seconds; its id.

        An id that is waiting or leased already is left as it is, so that doing it again is
        harmless; a dead letter of this id is replaced. InternalError QUEUE_FULL (507) at the
        queue's bound.
        """
        ...

    async def receive(self, *, wait: float = 0.0) -> Lease | None:
        """The oldest message that is ready, leased to the caller; None when there is none.

        Waits at most `wait` seconds for one. What is put in by another process may be noticed up
        to a second late.
        """
        ...

    async def extend(self, lease: Lease) -> bool:
        """Let the lease last a whole visibility timeout from now; False when it was lost."""
        ...

    async def ack(self, lease: Lease) -> bool:
        """The work is done, the message goes; False when the lease was lost to somebody else."""
        ...

    async def nack(self, lease: Lease, *, delay: float = 0.0, reason: str = "") -> bool:
        """Give the message back, to come again after `delay` seconds; False when it was lost.

        At its last attempt it becomes a dead letter with `reason` instead.
        """
        ...

    async def reject(self, lease: Lease, *, reason: str) -> bool:
        """Make it a dead letter now: trying again would not help. False when it was lost."""
        ...

    async def counts(self) -> QueueCounts:
        """How many messages there are."""
        ...

    async def dead_letters(self, *, limit: int = 50) -> Sequence[DeadLetter]:
        """The newest dead letters, at most `limit` (1..500)."""
        ...

    async def close(self) -> None:
        """Let nobody use this object any more; who waits in `receive` gets STORE_CLOSED.

        Messages stay. Closing twice is fine.
        """
        ...


def check_message(payload: bytes, message_id: str | None, delay: float) -> None:
    """Raise ValidationError INVALID_REQUEST unless every queue takes these."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise invalid_argument(
            "payload", expected=f"at most {MAX_PAYLOAD_BYTES} bytes", found=f"{len(payload)}"
        )
    if message_id is not None:
        check_message_id(message_id)
    check_delay(delay)


def check_message_id(message_id: str) -> None:
    """Raise ValidationError INVALID_REQUEST unless every queue takes this id."""
    try:
        size = len(message_id.encode("utf-8"))
    except UnicodeEncodeError:
        raise invalid_argument(
            "message_id", expected="valid Unicode", found="half a character"
        ) from None
    if not 1 <= size <= MAX_MESSAGE_ID_BYTES or "\x00" in message_id:
        raise invalid_argument(
            "message_id",
            expected=f"1 to {MAX_MESSAGE_ID_BYTES} bytes without a zero byte",
            found=f"{size} bytes",
        )


def check_delay(delay: float) -> None:
    """Raise ValidationError INVALID_REQUEST unless `delay` is 0 seconds to 30 days."""
    if not 0 <= delay <= MAX_DELAY:
        raise invalid_argument("delay", expected="0 seconds to 30 days", found=f"{delay}")


def clean_reason(reason: str) -> str:
    """`reason` as every store can keep it: at most 2,000 characters, no zero bytes."""
    text = reason[:MAX_REASON_CHARACTERS].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode("utf-8")


def given_up(attempts: int) -> str:
    """The reason of a message whose leases all ended without a word."""
    return f"not finished in {attempts} attempts: each time the lease was over, or its holder died"
