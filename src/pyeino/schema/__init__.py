"""Messages, documents, tools and their codecs: the vocabulary of every other room."""

from pyeino.schema._message import (
    CompletionTokenDetails,
    FunctionCall,
    Message,
    PromptTokenDetails,
    ResponseMeta,
    Role,
    TokenUsage,
    ToolCall,
)

__all__ = [
    "CompletionTokenDetails",
    "FunctionCall",
    "Message",
    "PromptTokenDetails",
    "ResponseMeta",
    "Role",
    "TokenUsage",
    "ToolCall",
]
