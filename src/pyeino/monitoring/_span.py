"""TraceSpan: one span of ours, with what it may show bounded and masked."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from pyeino.monitoring import _conventions as names
from pyeino.monitoring._component import is_mapping
from pyeino.monitoring._context import RequestContext, current_request, request_context
from pyeino.monitoring._error_text import told_text
from pyeino.monitoring._masking import mask_value
from pyeino.security import mask_text

if TYPE_CHECKING:
    from pyeino.monitoring._tracing import Tracing

MAX_TEXT = 1_024
MAX_CONTENT = 32_768
_MAX_ITEMS = 64
_MAX_TEXTS = 256
_LEAST_HIDDEN = 8

_active: ContextVar[TraceSpan | None] = ContextVar("pyeino_span", default=None)


class TraceSpan:
    """A span that is being recorded; `Tracing` makes them. Ending it twice is fine.

    Attributes keep their types, texts are masked and cut at 1,024 characters. `end` has to be
    called by whoever started it.
    """

    __slots__ = (
        "_current",
        "_raw",
        "_records",
        "ended",
        "sampled",
        "span_id",
        "trace_id",
        "tracing",
    )

    def __init__(self, raw: Any, tracing: Tracing) -> None:
        self._raw = raw
        self.tracing = tracing
        found = raw.get_span_context()
        self.trace_id = f"{found.trace_id:032x}"
        self.span_id = f"{found.span_id:016x}"
        self.sampled = bool(found.trace_flags.sampled)
        self.ended = False
        self._records = bool(raw.is_recording())
        self._current: tuple[RequestContext, Any] | None = None

    @property
    def recording(self) -> bool:
        """False for a span that was not sampled, or has ended: nothing need be computed for it."""
        return self._records and not self.ended

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes; None is left out."""
        if self.recording:
            self._raw.set_attributes(clean_attributes(attributes))

    def set_known(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes that are clean: our own words, and what `clean_attributes` gave."""
        if self.recording:
            self._raw.set_attributes(attributes)

    def current(self) -> tuple[RequestContext, Any]:
        """What is current inside this span, made once: for us, and for OpenTelemetry."""
        if self._current is None:
            context = RequestContext(
                request_id=request_context().request_id,
                trace_id=self.trace_id,
                span_id=self.span_id,
                sampled=self.sampled,
            )
            self._current = context, self.tracing.context_of(self._raw)
        return self._current

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Note that something happened now."""
        if self.recording:
            self._raw.add_event(name, clean_attributes(attributes or {}))

    def rename(self, name: str) -> None:
        """Give the span the name that was not known when it began."""
        if self.recording:
            self._raw.update_name(name)

    def fail(self, error: BaseException, *, given: object = None) -> None:
        """Record `error`: its class, its text masked and without what was `given` to the call."""
        if not self.recording:
            return
        kind = type(error).__name__
        text = error_text(error, given=given)
        frames = "".join(traceback.format_tb(error.__traceback__))
        self._raw.set_attributes({names.ERROR_TYPE: kind, names.ERROR_MESSAGE: text})
        self._raw.add_event(
            names.EXCEPTION,
            {
                "exception.type": f"{type(error).__module__}.{type(error).__qualname__}",
                "exception.message": text,
                "exception.stacktrace": bounded(mask_text(frames[-8 * MAX_TEXT :]), 8 * MAX_TEXT),
            },
        )
        self.set_failed(text)

    def set_failed(self, description: str = "") -> None:
        """Set the status to error; `description` has to be fit to be seen."""
        if self.recording:
            self.tracing.mark_failed(self._raw, description)

    def succeed(self) -> None:
        """Set the status to OK, which has no text."""
        if self.recording:
            self.tracing.mark_ok(self._raw)

    def end(self) -> None:
        """End the span and hand it to the exporter's queue; never waits."""
        if not self.ended:
            self.ended = True
            self._raw.end()

    def scope(self) -> SpanScope:
        """`with` it, the span is the current one: of log lines, of further spans, of calls out."""
        return SpanScope(self)


class SpanScope:
    """Makes a span current for a stretch of code in one task."""

    __slots__ = ("_foreign", "_own", "_request", "_span")

    def __init__(self, span: TraceSpan) -> None:
        self._span = span
        self._own: Token[TraceSpan | None] | None = None
        self._request: Token[RequestContext] | None = None
        self._foreign: Any = None

    def __enter__(self) -> TraceSpan:
        span = self._span
        request, foreign = span.current()
        self._own = _active.set(span)
        self._request = current_request.set(request)
        self._foreign = span.tracing.attach(foreign)
        return span

    def __exit__(self, *_: object) -> None:
        self._span.tracing.detach(self._foreign)
        if self._request is not None and self._own is not None:
            current_request.reset(self._request)
            _active.reset(self._own)


def active_span() -> TraceSpan | None:
    """Our innermost span of the running code; None outside of any."""
    return _active.get()


def add_span_event(name: str, attributes: Mapping[str, Any] | None = None) -> None:
    """Note on the current span that something happened now; nothing happens without a span.

    Also inside a span of your own, when you use OpenTelemetry yourself.
    """
    raw = _recording_span()
    if raw is not None:
        raw.add_event(name, clean_attributes(attributes or {}))


def set_span_attributes(attributes: Mapping[str, Any]) -> None:
    """Set attributes of the current span; nothing happens without a span.

    Booleans, numbers and lists of them stay what they are; texts are masked and cut at 1,024
    characters, durations become seconds, None is left out.
    """
    raw = _recording_span()
    if raw is not None:
        raw.set_attributes(clean_attributes(attributes))


def _recording_span() -> Any:
    """The current span of OpenTelemetry, ours or not; None without one that records."""
    # Not imported: where nobody has loaded OpenTelemetry, there is no span.
    trace = sys.modules.get("opentelemetry.trace")
    raw = None if trace is None else trace.get_current_span()
    return raw if raw is not None and raw.is_recording() else None


# --- what a span may show -------------------------------------------------------------------------


def clean_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """`attributes` as OpenTelemetry takes them: native types, masked, bounded, without None."""
    found: dict[str, Any] = {}
    for key, value in attributes.items():
        cleaned = _clean(str(key), value)
        if cleaned is not None:
            found[str(key)] = cleaned
    return found


def _clean(key: str, value: Any) -> Any:
    limit = MAX_CONTENT if key in names.CONTENT else MAX_TEXT
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        value = value[: 2 * limit]  # what is masked here costs time, what is cut below does not
    value = mask_value(key, value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return bounded(value, limit)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, list | tuple | set | frozenset):
        return _clean_items(key, cast("Iterable[Any]", value))
    return bounded(mask_text(str(value)[: 2 * limit]), limit)


def _clean_items(key: str, items: Iterable[Any]) -> list[Any]:
    """A list of one native type: numbers stay numbers, anything mixed becomes text."""
    found = [_clean(key, item) for _, item in zip(range(_MAX_ITEMS), items, strict=False)]
    for kind in (bool, int, float, str):
        if all(type(item) is kind for item in found):
            return found
    if all(type(item) in (int, float) for item in found):
        return [float(item) for item in found]
    return ["" if item is None else str(item) for item in found]


def bounded(text: str, limit: int = MAX_TEXT) -> str:
    """`text` cut at `limit` characters, in a form that UTF-8 can carry."""
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()


def error_text(error: BaseException, *, given: object = None) -> str:
    """The text of `error`, masked, cut, and without the texts that the call was given."""
    text = told_text(error)
    for part in sorted(set(_texts_in(given)), key=len, reverse=True):
        text = text.replace(part, "***")
        quoted = repr(part)[1:-1]
        if quoted != part:
            text = text.replace(quoted, "***")
    return bounded(mask_text(text[: 2 * MAX_TEXT]))


def _texts_in(value: object) -> list[str]:
    """Texts of at least eight characters anywhere in `value`, as many as are worth looking for."""
    found: list[str] = []
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting and len(found) < _MAX_TEXTS:
        item, depth = waiting.pop()
        if isinstance(item, str):
            if not isinstance(item, Enum) and len(item.strip()) >= _LEAST_HIDDEN:
                found.append(item.strip())
        elif depth < 5:
            waiting.extend((inner, depth + 1) for inner in _inside(item))
    return found


def _inside(item: object) -> Iterable[object]:
    if is_mapping(item):
        return item.values()
    if isinstance(item, list | tuple | set | frozenset):
        return cast("Iterable[object]", item)
    fields: Any = getattr(item, "__struct_fields__", None)
    if fields is None:
        fields = getattr(item, "__dataclass_fields__", ())
    return [getattr(item, name, None) for name in fields]
