"""Declare, check, plan, run: chains, graphs and workflows of components and functions."""

from pyeino.compose._chain import Chain
from pyeino.compose._compiled import Compiled
from pyeino.compose._declaration import END, START
from pyeino.compose._declare import Graph, Handle
from pyeino.compose._lambda import Lambda
from pyeino.compose._mapping import WHOLE
from pyeino.compose._modes import register_merge
from pyeino.compose._runnable import ComponentOptions, NodeCallbacks, Runnable, RunOptions
from pyeino.compose._tools_node import ToolMessages, ToolsNode
from pyeino.compose._workflow import Fields, Workflow, WorkflowNode

__all__ = [
    "END",
    "START",
    "WHOLE",
    "Chain",
    "Compiled",
    "ComponentOptions",
    "Fields",
    "Graph",
    "Handle",
    "Lambda",
    "NodeCallbacks",
    "RunOptions",
    "Runnable",
    "ToolMessages",
    "ToolsNode",
    "Workflow",
    "WorkflowNode",
    "register_merge",
]
