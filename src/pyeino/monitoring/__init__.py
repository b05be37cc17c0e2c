"""Logs, metrics, traces and the ids of a request: what a running service says about itself."""

from pyeino.callbacks import TraceableComponent, TraceInfo
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
from pyeino.monitoring._conventions import TRACER_NAME
from pyeino.monitoring._exports import MetricsExport, merge_exports
from pyeino.monitoring._genai import model_trace_info
from pyeino.monitoring._logger import AdjustableLogger, FatalError, Logger, LogLevel
from pyeino.monitoring._masking import mask_fields, mask_id
from pyeino.monitoring._metrics import Metrics
from pyeino.monitoring._span import TraceSpan, add_span_event, set_span_attributes
from pyeino.monitoring._structured import LogFormat, StructuredLogger
from pyeino.monitoring._trace_asgi import RequestTracing, ServedRequest, request_span
from pyeino.monitoring._trace_handler import TracingHandler
from pyeino.monitoring._trace_middleware import tracing_middleware
from pyeino.monitoring._tracing import Tracing, trace_chain_execution
from pyeino.security import mask_text

__all__ = [
    "TRACER_NAME",
    "AdjustableLogger",
    "ComponentLogger",
    "FatalError",
    "LogFormat",
    "LogLevel",
    "Logger",
    "Metrics",
    "MetricsExport",
    "MetricsHandler",
    "RequestContext",
    "RequestTracing",
    "ServedRequest",
    "StructuredLogger",
    "TraceInfo",
    "TraceParent",
    "TraceSpan",
    "TraceableComponent",
    "Tracing",
    "TracingHandler",
    "add_span_event",
    "bind_request",
    "mask_fields",
    "mask_id",
    "mask_text",
    "merge_exports",
    "model_trace_info",
    "new_request_id",
    "parse_traceparent",
    "request_context",
    "request_span",
    "set_span_attributes",
    "trace_chain_execution",
    "tracing_middleware",
]
