"""A chat model on the CPU, in this process, through llama.cpp; and the weights it needs."""

from pyeino.integrations.llamacpp._catalogue import CATALOGUE, DEFAULT_MODEL, Weights
from pyeino.integrations.llamacpp._default import open_default_model
from pyeino.integrations.llamacpp._model import LlamaCppModel
from pyeino.integrations.llamacpp._pull import (
    LocalModel,
    list_models,
    model_path,
    models_folder,
    pull,
)

__all__ = [
    "CATALOGUE",
    "DEFAULT_MODEL",
    "LlamaCppModel",
    "LocalModel",
    "Weights",
    "list_models",
    "model_path",
    "models_folder",
    "open_default_model",
    "pull",
]
