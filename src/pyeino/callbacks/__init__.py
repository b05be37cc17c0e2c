"""The moments of a run and who is told of them."""

from pyeino.callbacks._handler import Handler, RunInfo
from pyeino.callbacks._told import told
from pyeino.callbacks._trace_info import TraceableComponent, TraceInfo, trace_info_of

__all__ = ["Handler", "RunInfo", "TraceInfo", "TraceableComponent", "told", "trace_info_of"]
