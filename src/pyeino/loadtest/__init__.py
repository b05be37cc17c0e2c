"""Put a server under load, over HTTP, and see how it holds: closed and open loop, streams too."""

from pyeino.loadtest._bodies import DEFAULT_BODY, VARIABLES, split_bodies
from pyeino.loadtest._client import HTTPClient, LoadReply, LoadRequest
from pyeino.loadtest._config import LoadTestConfig, LoadTestConfigError
from pyeino.loadtest._histogram import Histogram
from pyeino.loadtest._html import html_report
from pyeino.loadtest._http import AiohttpClient
from pyeino.loadtest._metrics import LoadTestMetrics
from pyeino.loadtest._result import (
    Latencies,
    LoadTestResult,
    PhaseResult,
    StreamResult,
    TimelinePoint,
)
from pyeino.loadtest._table import progress_line, text_report
from pyeino.loadtest._tester import LoadTester, LoadTestError, Progress, run_load_test

__all__ = [
    "DEFAULT_BODY",
    "VARIABLES",
    "AiohttpClient",
    "HTTPClient",
    "Histogram",
    "Latencies",
    "LoadReply",
    "LoadRequest",
    "LoadTestConfig",
    "LoadTestConfigError",
    "LoadTestError",
    "LoadTestMetrics",
    "LoadTestResult",
    "LoadTester",
    "PhaseResult",
    "Progress",
    "StreamResult",
    "TimelinePoint",
    "html_report",
    "progress_line",
    "run_load_test",
    "split_bodies",
    "text_report",
]
