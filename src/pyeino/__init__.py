"""pyeino: typed, streaming-first LLM applications, and the production server around them.

This is the narrow door: what most programs name. Everything else is one folder down, in the room
that owns it (`pyeino.compose`, `pyeino.streams`, `pyeino.components`, …).
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
