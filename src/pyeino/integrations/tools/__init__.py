"""Tools that need no key and no network: a calculator, a clock, and search in an index."""

from pyeino.integrations.tools._calculator import calculator
from pyeino.integrations.tools._clock import clock
from pyeino.integrations.tools._retriever import retriever_tool

__all__ = ["calculator", "clock", "retriever_tool"]
