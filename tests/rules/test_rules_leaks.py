"""The search through what a test run says finds what it looks for, wherever it is said."""

from __future__ import annotations

from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from leak_watch import LeakWatch, leak_in
from span_kit import kept_spans

from pyeino.monitoring import Metrics, StructuredLogger, merge_exports

KEY = "pyk_0123456789ab_0123456789012345678901234567890123456789012"


@pytest.mark.parametrize(
    "private",
    ["ann.lee@example.com", "+44 20 7946 0958", "4111 1111 1111 1111", KEY, "password=hunter22"],
)
def test_what_is_private_is_found(private: str) -> None:
    assert leak_in(f'{{"message":"said {private} to"}}') is not None


@pytest.mark.parametrize(
    "shown", ["a***e@example.com", "138****678", "4111 **** **** 1111", '"api_key":"***"', "run 12"]
)
def test_what_is_masked_is_not(shown: str) -> None:
    assert leak_in(f'{{"message":"said {shown} to"}}') is None


def test_each_way_out_is_watched(tmp_path: Path, leaks: LeakWatch) -> None:
    watch = LeakWatch()
    with contextmanager(watch.watching)():
        logger = StructuredLogger(StringIO())
        logger._shared.writer.put("ann.lee@example.com\n")  # past the masking
        logger.close()
        metrics = Metrics()
        metrics.inc_chat_errors("ann.lee@example.com")
        metrics.render()
        merge_exports([metrics.export()]).render()
        with kept_spans() as kept:
            span = kept.tracing.start("work")
            span._raw.set_attribute("who", "ann.lee@example.com")
            span._raw.add_event("asked", {"who": "ann.lee@example.com"})
            span.end()
    assert leaks.found  # of the run itself, which this test must not fail
    leaks.found.clear()
    (tmp_path / "server.log").write_text('{"timestamp":"now","message":"ann.lee@example.com"}\n')
    watch.look_into_logs(tmp_path)
    (tmp_path / "server.log").unlink()
    kinds = [one.partition(":")[0] for one in watch.found]
    assert kinds == [
        "log", "metrics", "metrics", "span", "event of a span", "log of a server, server.log",
    ]  # fmt: skip
