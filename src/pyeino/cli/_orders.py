"""Orders: what a process that serves with others is told to do."""

from __future__ import annotations

from typing import Literal

import msgspec

from pyeino.wiring import Settings


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one child does, with the very settings that the parent has checked.

    `listener` is the number of the inherited socket that it answers on: that of HTTP for a worker,
    of the model for the model. A worker asks for the model at `model_path`; "" when it has none.
    """

    role: Literal["worker", "model"]
    number: int
    settings: Settings
    listener: int
    chain: str | None = None
    further: tuple[str, ...] = ()
    model_path: str = ""
    model_key: bytes = b""

    def encode(self) -> bytes:
        """As bytes, for a socket."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Order:
        """What `encode` gave."""
        return msgspec.msgpack.decode(data, type=cls)
