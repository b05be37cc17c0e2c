"""Protocols of the kinds of component, with the options of a call."""

from pyeino.components._chat_template import ChatTemplate
from pyeino.components._embedder import Embedder, EmbedderOptions
from pyeino.components._loading import (
    DocumentSource,
    Loader,
    LoaderOptions,
    Parser,
    ParserOptions,
    Transformer,
)
from pyeino.components._model import ChatModel, ModelInfo, ModelOptions
from pyeino.components._options import Options
from pyeino.components._prompt import MessagesPlaceholder, PromptPart, PromptTemplate
from pyeino.components._retrieval import (
    Indexer,
    IndexerOptions,
    Reranker,
    RerankerOptions,
    RerankInput,
    Retriever,
    RetrieverOptions,
)
from pyeino.components._template_format import TemplateFormat, TextTemplate
from pyeino.components._tool import (
    FunctionTool,
    StreamingTool,
    Tool,
    ToolOutput,
    error_text,
    errors_to_text,
    tool,
    tool_call_id,
)

__all__ = [
    "ChatModel",
    "ChatTemplate",
    "DocumentSource",
    "Embedder",
    "EmbedderOptions",
    "FunctionTool",
    "Indexer",
    "IndexerOptions",
    "Loader",
    "LoaderOptions",
    "MessagesPlaceholder",
    "ModelInfo",
    "ModelOptions",
    "Options",
    "Parser",
    "ParserOptions",
    "PromptPart",
    "PromptTemplate",
    "RerankInput",
    "Reranker",
    "RerankerOptions",
    "Retriever",
    "RetrieverOptions",
    "StreamingTool",
    "TemplateFormat",
    "TextTemplate",
    "Tool",
    "ToolOutput",
    "Transformer",
    "error_text",
    "errors_to_text",
    "tool",
    "tool_call_id",
]
