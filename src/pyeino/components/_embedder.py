"""Embedder: texts to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from pyeino.components._options import Options


class EmbedderOptions(Options, frozen=True, kw_only=True, omit_defaults=True):
    """Options of one embedding call."""

    model: str | None = None


@runtime_checkable
class Embedder(Protocol):
    """Texts in, one vector for each out, in their order and all of one length."""

    async def embed(
        self, texts: Sequence[str], *, options: EmbedderOptions | None = None
    ) -> list[list[float]]:
        """Embed `texts`; an empty list gives an empty list without a call."""
        ...
