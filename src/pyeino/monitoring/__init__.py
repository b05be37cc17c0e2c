"""Logs, metrics and the ids of a request: what a running service says about itself."""

from pyeino.monitoring._callbacks import MetricsHandler
from pyeino.monitoring._component import ComponentLogger
from pyeino.monitoring._context import (
    RequestContext,
    TraceParent,
    bind_request,
    new_request_id,
    parse_traceparent,
    request_context,
)
from pyeino.monitoring._logger import FatalError, Logger, LogLevel
from pyeino.monitoring._masking import mask_fields, mask_id
from pyeino.monitoring._metrics import Metrics
from pyeino.monitoring._structured import LogFormat, StructuredLogger
from pyeino.security import mask_text

__all__ = [
    "ComponentLogger",
    "FatalError",
    "LogFormat",
    "LogLevel",
    "Logger",
    "Metrics",
    "MetricsHandler",
    "RequestContext",
    "StructuredLogger",
    "TraceParent",
    "bind_request",
    "mask_fields",
    "mask_id",
    "mask_text",
    "new_request_id",
    "parse_traceparent",
    "request_context",
]
