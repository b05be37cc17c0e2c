"""pyeino: typed, streaming-first LLM applications, and the production server around them.

This is the narrow door: what most programs name. Everything else is one folder down, in the room
that owns it (`pyeino.compose`, `pyeino.streams`, `pyeino.components`, …).
"""

from pyeino.components import ChatModel, ModelOptions, PromptTemplate, tool
from pyeino.compose import (
    END,
    START,
    WHOLE,
    Chain,
    Compiled,
    Graph,
    Lambda,
    Runnable,
    RunOptions,
    Workflow,
)
from pyeino.errors import AppError, PyeinoError
from pyeino.schema import Message
from pyeino.streams import Stream

__version__ = "0.1.0"

__all__ = [
    "END",
    "START",
    "WHOLE",
    "AppError",
    "Chain",
    "ChatModel",
    "Compiled",
    "Graph",
    "Lambda",
    "Message",
    "ModelOptions",
    "PromptTemplate",
    "PyeinoError",
    "RunOptions",
    "Runnable",
    "Stream",
    "Workflow",
    "__version__",
    "tool",
]
