"""StructuredLogger: one flat, masked JSON object a line, written by a thread that never blocks."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import InternalError, ValidationError
from pyeino.monitoring import (
    ComponentLogger,
    FatalError,
    Logger,
    LogLevel,
    StructuredLogger,
    bind_request,
)


def _lines(sink: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sink.getvalue().split("\n") if line]


class GatedSink(io.StringIO):
    """A sink whose first write waits until it is let go, like a pipe that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.gate = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.gate.wait(30)
        return super().write(text)


def _logged(**fields: Any) -> dict[str, Any]:
    sink = io.StringIO()
    logger = StructuredLogger(sink)
    logger.info("said", **fields)
    assert logger.close()
    (line,) = _lines(sink)
    return line


def test_a_line_has_the_guides_keys_and_an_rfc_3339_time() -> None:
    line = _logged(model="m", duration=0.25)
    assert list(line)[:3] == ["timestamp", "level", "message"]
    assert line["level"] == "info"
    assert line["message"] == "said"
    assert line["duration"] == 0.25
    moment = datetime.fromisoformat(line["timestamp"])
    assert line["timestamp"].endswith("Z")
    assert len(line["timestamp"]) == len("2026-01-01T00:00:00.000Z")
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


def test_g93_fields_are_flat_and_durations_are_seconds() -> None:
    line = _logged(usage={"prompt": 3, "details": {"cached": 1}}, took=timedelta(seconds=1.5))
    assert line["usage.prompt"] == 3
    assert line["usage.details.cached"] == 1
    assert line["took"] == 1.5
    assert "fields" not in line


def test_g94_reserved_names_are_prefixed() -> None:
    line = _logged(message="mine", level="x", timestamp=1)
    assert line["message"] == "said"
    assert line["field_message"] == "mine"
    assert line["field_level"] == "x"
    assert line["field_timestamp"] == 1


def test_g94_a_key_cannot_stand_without_a_value() -> None:
    logger = StructuredLogger(io.StringIO())
    with pytest.raises(TypeError):
        StructuredLogger.info(logger, *("message", "key"))  # the guide's form lets it pass
    logger.close()


def test_g95_fatal_logs_flushes_and_raises_without_exiting() -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink, level="fatal")
    with pytest.raises(FatalError, match="no disk"):
        logger.fatal("no disk", path="x")
    (line,) = _lines(sink)  # before any close: fatal has flushed
    assert line["level"] == "fatal"
    logger.close()


def test_g96_the_level_changes_at_run_time_for_all_who_share_it() -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink, level="error")
    child = logger.with_fields(part="child")
    child.info("unseen")
    logger.level = LogLevel.parse("debug")
    child.debug("seen")
    logger.close()
    assert [line["message"] for line in _lines(sink)] == ["seen"]


def test_g96_a_stuck_sink_drops_counts_and_reports() -> None:
    sink = GatedSink()
    logger = StructuredLogger(sink, capacity=5)
    logger.info("first")
    assert sink.entered.wait(30)
    for number in range(9):
        logger.info("more", number=number)  # never waits
    assert logger.dropped == 4
    assert logger.queued == 5
    assert not logger.flush(timeout=0.01)
    sink.gate.set()
    assert logger.close(timeout=30)
    lines = _lines(sink)
    assert [line["message"] for line in lines].count("more") == 5
    (report,) = [line for line in lines if line["message"] == "Log lines dropped"]
    assert report["dropped"] == 4
    assert report["level"] == "warn"


def test_a_sink_that_fails_does_not_reach_the_caller() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("disk full")

    logger = StructuredLogger(Broken())
    logger.info("lost")
    assert logger.flush(timeout=30)
    assert logger.close(timeout=30)
    assert logger.dropped == 1


def test_close_is_idempotent_and_later_lines_are_counted_as_dropped() -> None:
    logger = StructuredLogger(io.StringIO())
    assert logger.close()
    assert logger.close()
    logger.info("late")
    assert logger.dropped == 1


def test_request_ids_stand_on_each_line_and_follow_with_context() -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink)
    with bind_request(request_id="r1", traceparent=f"00-{'a' * 32}-{'b' * 16}-01"):
        logger.info("inside")
        kept = logger.with_context()
    kept.info("kept")
    logger.info("outside")
    logger.close()
    inside, after, outside = _lines(sink)
    assert inside["request_id"] == "r1"
    assert inside["trace_id"] == "a" * 32
    assert inside["span_id"] not in ("", "b" * 16)
    assert after["span_id"] == inside["span_id"]
    assert "request_id" not in outside


def test_with_fields_leaves_the_first_logger_alone() -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink)
    logger.with_fields(a=1, b=1).info("child", b=2)
    logger.info("parent")
    logger.close()
    child, parent = _lines(sink)
    assert (child["a"], child["b"]) == (1, 2)
    assert "a" not in parent


def test_errors_are_told_by_text_and_class_and_unexpected_ones_with_their_stack() -> None:
    try:
        raise ValueError("bad key sk-abcdefgh12345678")
    except ValueError as error:
        line = _logged(error=error)
    assert line["error_type"] == "ValueError"
    assert "abcdefgh" not in json.dumps(line)
    assert "test_monitoring_logger" in line["stack"]
    known = _logged(error=InternalError("SERVER_DRAINING", "stopping"))
    assert known["error"] == "SERVER_DRAINING: stopping"
    assert "stack" not in known


def test_values_are_bounded_and_never_break_the_caller() -> None:
    class Rude:
        def __str__(self) -> str:
            raise RuntimeError

    line = _logged(
        text="x" * 20_000, items=list(range(500)), rude=Rude(), raw=b"1234", nan=float("nan")
    )
    assert len(line["text"]) < 9_000
    assert len(line["items"]) == 101
    assert line["rude"] == "<Rude: no text (RuntimeError)>"
    assert line["raw"] == "<4 bytes>"
    assert line["nan"] is None


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_any_fields_give_exactly_one_line_of_json(fields: dict[str, Any]) -> None:
    line = _logged(**fields)
    assert line["message"] == "said"
    assert not any(isinstance(value, dict) for key, value in line.items() if key.count(".") < 3)


def test_text_format_is_one_line_for_humans() -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink, format="text")
    logger.warn("two\nlines", name="with space", number=3)
    logger.close()
    (line,) = sink.getvalue().splitlines()
    assert line.endswith('WARN  two\\nlines name="with space" number=3')
    assert "\x1b" not in line


def test_colours_only_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    sink = Terminal()
    logger = StructuredLogger(sink, format="text")
    logger.error("red")
    logger.close()
    assert "\x1b[31m" in sink.getvalue()


@pytest.mark.parametrize("bad", ["loud", ""])
def test_unknown_levels_are_refused_with_the_known_ones(bad: str) -> None:
    with pytest.raises(ValueError, match="known levels: debug, info, warn, error, fatal"):
        StructuredLogger(io.StringIO(), level=bad)


def test_the_class_is_a_logger() -> None:
    logger = StructuredLogger(io.StringIO())
    assert isinstance(logger, Logger)
    logger.close()


def test_component_logger_says_how_an_execution_ended() -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink)
    component = ComponentLogger(logger, "ChatModel", "m")
    component.log_execution("generate", 0.5)
    component.log_execution("generate", 0.5, InternalError("X", "broken"))
    component.log_input("unseen at info")
    logger.close()
    done, failed = _lines(sink)
    assert done["message"] == "Component execution completed"
    assert failed["message"] == "Component execution failed"
    assert failed["level"] == "error"
    assert failed["error"] == "X: broken"
    for line in (done, failed):
        assert line["component_type"] == "ChatModel"
        assert line["component_name"] == "m"
        assert line["operation"] == "generate"
        assert line["duration"] == 0.5


def test_g97_sizes_are_bytes_of_utf8_and_counts_stand_beside() -> None:
    class Said:
        def __init__(self, content: str) -> None:
            self.content = content

    sink = io.StringIO()
    logger = StructuredLogger(sink, level="debug")
    component = ComponentLogger(logger, "ChatModel", "m")
    component.log_input([Said("né"), Said("x")])
    component.log_output("日本")
    component.log_output({"a": b"123"})
    component.log_output(7)
    logger.close()
    messages, text, mapping, number = _lines(sink)
    assert (messages["input_type"], messages["input_size"], messages["input_items"]) == (
        "list",
        4,
        2,
    )
    assert text["output_size"] == 6
    assert "output_items" not in text
    assert mapping["output_size"] == 4
    assert number["output_size"] == 0


def test_g97_nothing_is_measured_when_debug_is_off() -> None:
    class Untouchable:
        @property
        def content(self) -> str:
            raise AssertionError("measured")

    logger = StructuredLogger(io.StringIO())
    ComponentLogger(logger, "ChatModel", "m").log_input(Untouchable())
    logger.close()


def test_a_refused_value_is_told_by_code_and_field_and_never_quoted() -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink)
    refused = ValidationError(
        "INVALID_REQUEST", "message: found 'a private thing'", metadata={"field": "message"}
    )
    logger.warn("Refused", error=refused)
    logger.error("Failed", error=InternalError("X", "It broke", cause=refused))
    logger.close()
    first, second = map(json.loads, sink.getvalue().splitlines())
    assert first["error"] == "INVALID_REQUEST at message"
    assert second["error"] == "X: It broke (caused by: INVALID_REQUEST at message)"
    assert "private" not in sink.getvalue()
