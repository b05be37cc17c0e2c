"""Any OpenAI-compatible endpoint: chat and embeddings over a thin client of our own."""

from pyeino.integrations.openai._embedder import OpenAIEmbedder
from pyeino.integrations.openai._errors import ProviderError
from pyeino.integrations.openai._http import Endpoint
from pyeino.integrations.openai._model import OpenAIChatModel
from pyeino.integrations.openai._retry import RetryPolicy

__all__ = ["Endpoint", "OpenAIChatModel", "OpenAIEmbedder", "ProviderError", "RetryPolicy"]
