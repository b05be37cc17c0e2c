"""Protocols of the kinds of component, with the options of a call."""

from pyeino.components._model import ChatModel, ModelInfo, ModelOptions

__all__ = ["ChatModel", "ModelInfo", "ModelOptions"]
