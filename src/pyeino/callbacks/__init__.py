"""The moments of a run and who is told of them."""

from pyeino.callbacks._handler import Handler, RunInfo

__all__ = ["Handler", "RunInfo"]
