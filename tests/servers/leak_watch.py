"""A search through all that a test run says, log lines, metrics and spans, for what is private.

Everything that this package logs, counts or traces in the test process is looked at on its way
out, and so are the logs of the servers that tests start, at the end of the run. Private is what
`mask_text` would mask and what stands there unmasked: credentials of every form, e-mail
addresses, and numbers of phones, cards and identity papers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pyeino.security import mask_text

_MASKED = re.compile(r"[^\s\"]*\*{3,}[^\s\"]*")
_AROUND = 30


def leak_in(text: str) -> str | None:
    """What is private in `text`, with a little of what is around it; None when nothing is."""
    shown = _MASKED.sub("***", text)
    masked = mask_text(shown)
    if masked == shown:
        return None
    pairs = zip(shown, masked, strict=False)
    first = next((at for at, (one, two) in enumerate(pairs) if one != two), len(masked))
    return shown[max(0, first - _AROUND) : first + _AROUND]


class LeakWatch:
    """Looks at what is emitted while it is open: `found` are the leaks, `looked_at` the texts."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.looked_at = 0

    def look(self, kind: str, text: str) -> None:
        """Search one text."""
        self.looked_at += 1
        if (leak := leak_in(text)) is not None:
            self.found.append(f"{kind}: …{leak}…")

    def look_into_logs(self, folder: Path) -> None:
        """Search the logs that servers have left below `folder`."""
        for path in folder.rglob("*.log"):
            if path.is_file():
                with path.open(errors="replace") as lines:
                    for line in lines:
                        if line.startswith('{"timestamp"'):
                            self.look(f"log of a server, {path.name}", line)

    def watching(self) -> Iterator[None]:
        """Look at what loggers, metrics and traces of this process emit, until it is closed."""
        from pyeino.monitoring import Metrics, MetricsExport
        from pyeino.monitoring._span_queue import SpanQueue
        from pyeino.monitoring._writer import LineWriter

        put, on_end = LineWriter.put, SpanQueue.on_end
        rendered = {owner: owner.render for owner in (Metrics, MetricsExport)}

        def watched_put(writer: LineWriter, line: str) -> None:
            self.look("log", line)
            put(writer, line)

        def watched_end(queue: SpanQueue, span: Any) -> None:
            self.look(
                "span", f"{span.name} {dict(span.attributes or {})} {span.status.description}"
            )
            for event in span.events:
                self.look("event of a span", f"{event.name} {dict(event.attributes or {})}")
            on_end(queue, span)

        def watched_render(source: Any, **options: bool) -> tuple[bytes, str]:
            body, media = rendered[type(source)](source, **options)
            self.look("metrics", body.decode())
            return body, media

        with ExitStack() as stack:
            stack.enter_context(patch.object(LineWriter, "put", watched_put))
            stack.enter_context(patch.object(SpanQueue, "on_end", watched_end))
            for owner in rendered:
                stack.enter_context(patch.object(owner, "render", watched_render))
            yield
