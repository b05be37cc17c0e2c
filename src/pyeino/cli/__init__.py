"""The command `pyeino`: words on a terminal over the rooms below."""

from pyeino.cli._main import main

__all__ = ["main"]
