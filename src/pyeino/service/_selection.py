"""Which chain answers: written rules over plain facts, the first hit wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyeino.errors import ValidationError

PLAIN: Final = "plain"
RAG: Final = "rag"
TOOLS: Final = "tools"
AUTO: Final = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFacts:
    """All that the choice depends on.

    `asked` is options.chain; `available` the chains that are configured, in order; `index_hit`
    says that the default index has something above the threshold.
    """

    asked: str = AUTO
    tools_asked: bool = False
    documents_named: bool = False
    index_hit: bool = False
    available: tuple[str, ...] = (PLAIN,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The chosen chain and why; both stand in the metadata and the log."""

    chain: str
    reason: str


Selector = Callable[[ChainFacts], Selection]


def select_chain(facts: ChainFacts) -> Selection:
    """Choose by these rules, in this order:

    1. options.chain names a chain: that one.
    2. The request asks for tools: tools.
    3. Its context names documents or an index: rag.
    4. The default index has something above the threshold: rag.
    5. Otherwise: plain.

    Rules 1 and 2 are explicit wishes: ValidationError when such a chain is not configured.
    Rules 3 and 4 hold only where a rag chain is configured.
    """
    if facts.asked != AUTO:
        if facts.asked not in facts.available:
            raise _not_configured("options.chain", facts.asked, facts.available)
        return Selection(chain=facts.asked, reason="options.chain asks for it")
    if facts.tools_asked:
        if TOOLS not in facts.available:
            raise _not_configured("options.tools", TOOLS, facts.available)
        return Selection(chain=TOOLS, reason="options.tools asks for tools")
    if RAG in facts.available:
        if facts.documents_named:
            return Selection(chain=RAG, reason="the context names documents or an index")
        if facts.index_hit:
            return Selection(chain=RAG, reason="the default index has something relevant")
    return Selection(chain=PLAIN, reason="no other rule applies")


def names_documents(context: Mapping[str, Any] | None) -> bool:
    """True when `context` has a non-empty "documents" or "index"."""
    return bool(context and (context.get("documents") or context.get("index")))


def _not_configured(field: str, asked: str, available: tuple[str, ...]) -> ValidationError:
    known = ", ".join((AUTO, *available))
    return ValidationError(
        "INVALID_REQUEST",
        f"{field}: the chain {asked[:64]!r} is not configured; there are {known}",
        metadata={"field": field, "expected": f"one of {known}", "found": asked[:64]},
    )
