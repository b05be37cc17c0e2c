"""Declare, check, plan, run: chains and graphs of components and functions."""

from pyeino.compose._chain import Chain
from pyeino.compose._compiled import Compiled
from pyeino.compose._declaration import END, START
from pyeino.compose._declare import Graph, Handle
from pyeino.compose._lambda import Lambda
from pyeino.compose._modes import register_merge
from pyeino.compose._runnable import ComponentOptions, NodeCallbacks, Runnable, RunOptions
from pyeino.compose._tools_node import ToolMessages, ToolsNode

__all__ = [
    "END",
    "START",
    "Chain",
    "Compiled",
    "ComponentOptions",
    "Graph",
    "Handle",
    "Lambda",
    "NodeCallbacks",
    "RunOptions",
    "Runnable",
    "ToolMessages",
    "ToolsNode",
    "register_merge",
]
