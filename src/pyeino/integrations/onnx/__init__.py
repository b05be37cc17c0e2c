"""Embeddings on the CPU, in this process, through onnxruntime."""

from pyeino.integrations.onnx._embedder import MiniLMEmbedder
from pyeino.integrations.onnx._engine import load_tokenizer
from pyeino.integrations.onnx._wordpiece import WordPiece

__all__ = ["MiniLMEmbedder", "WordPiece", "load_tokenizer"]
