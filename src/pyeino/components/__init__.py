"""Protocols of the kinds of component, with the options of a call."""

from pyeino.components._cache import with_cache
from pyeino.components._cache_manager import CacheManager, CacheMetrics, CacheStats
from pyeino.components._cached_chat import cached_chat_completion
from pyeino.components._callback_records import (
    EmbedderCall,
    IndexerCall,
    LoaderCall,
    ModelCall,
    PromptCall,
    RerankerCall,
    RetrieverCall,
    ToolCallInput,
    TransformerCall,
)
from pyeino.components._chat_template import ChatTemplate
from pyeino.components._embedder import Embedder, EmbedderOptions
from pyeino.components._fallback import may_fall_back, with_fallback
from pyeino.components._limit import CallLimit, with_limit
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
from pyeino.components._parsers import ExtensionParser, TextParser
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
from pyeino.components._retry import RetryPolicy, is_transient, with_retry
from pyeino.components._template_format import TemplateFormat, TextTemplate
from pyeino.components._timeout import with_timeout
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
    "CacheManager",
    "CacheMetrics",
    "CacheStats",
    "CallLimit",
    "ChatModel",
    "ChatTemplate",
    "DocumentSource",
    "Embedder",
    "EmbedderCall",
    "EmbedderOptions",
    "ExtensionParser",
    "FunctionTool",
    "Indexer",
    "IndexerCall",
    "IndexerOptions",
    "Loader",
    "LoaderCall",
    "LoaderOptions",
    "MessagesPlaceholder",
    "ModelCall",
    "ModelInfo",
    "ModelOptions",
    "Options",
    "Parser",
    "ParserOptions",
    "PromptCall",
    "PromptPart",
    "PromptTemplate",
    "RerankInput",
    "Reranker",
    "RerankerCall",
    "RerankerOptions",
    "Retriever",
    "RetrieverCall",
    "RetrieverOptions",
    "RetryPolicy",
    "StreamingTool",
    "TemplateFormat",
    "TextParser",
    "TextTemplate",
    "Tool",
    "ToolCallInput",
    "ToolOutput",
    "Transformer",
    "TransformerCall",
    "cached_chat_completion",
    "error_text",
    "errors_to_text",
    "is_transient",
    "may_fall_back",
    "tool",
    "tool_call_id",
    "with_cache",
    "with_fallback",
    "with_limit",
    "with_retry",
    "with_timeout",
]
