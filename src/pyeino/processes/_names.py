"""What the processes ask each other for, by name."""

from __future__ import annotations

import msgspec

BEGIN = "begin"
"""Parent to child: the payload that its command asked for (the answer is empty)."""
READY = "ready"
"""Child to parent: it does its work now."""
EXPORT = "export"
"""Parent to child: its metrics of now."""
LAST_EXPORT = "last_export"
"""Child to parent: its metrics, which do not change any more."""
COLLECT = "collect"
"""Child to parent: the metrics of all processes as a scrape."""
OPENMETRICS = b"openmetrics"
"""What COLLECT says when the scrape is to have exemplars."""
LEVEL = "level"
"""Child to parent, and parent to all children: the level of the log from now on."""
STOP = "stop"
"""Parent to child: end well."""
HASTEN = "hasten"
"""Parent to child: end now."""

SHORT = 2.0
"""Seconds that one process waits for another one that answers at once when it is well."""


class Scrape(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a scrape and its content type."""

    body: bytes
    media: str
