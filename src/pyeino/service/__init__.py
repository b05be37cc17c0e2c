"""The business layer: chat requests answered through the chain that fits, history kept."""

from pyeino.service._chat_service import ChatService
from pyeino.service._embeddings import EmbeddingAnswer, Embeddings
from pyeino.service._ids import generate_message_id
from pyeino.service._inputs import ChatInput, RAGInput, ToolInput
from pyeino.service._limits import ServiceLimits
from pyeino.service._prompt import build_messages, default_chat_chain, mark_context
from pyeino.service._records import (
    CallContext,
    ChatChunk,
    ChatMessage,
    ChatOptions,
    ChatRequest,
    ChatResponse,
    MultiTurnChatRequest,
    TokenUsage,
)
from pyeino.service._runs import Run, RunManager, StopReason
from pyeino.service._selection import ChainFacts, Selection, Selector, select_chain
from pyeino.service._sessions import (
    MessagePage,
    MessageRecord,
    SessionPage,
    SessionRecord,
    Sessions,
)
from pyeino.service._tools import default_tool_chain

__all__ = [
    "CallContext",
    "ChainFacts",
    "ChatChunk",
    "ChatInput",
    "ChatMessage",
    "ChatOptions",
    "ChatRequest",
    "ChatResponse",
    "ChatService",
    "EmbeddingAnswer",
    "Embeddings",
    "MessagePage",
    "MessageRecord",
    "MultiTurnChatRequest",
    "RAGInput",
    "Run",
    "RunManager",
    "Selection",
    "Selector",
    "ServiceLimits",
    "SessionPage",
    "SessionRecord",
    "Sessions",
    "StopReason",
    "TokenUsage",
    "ToolInput",
    "build_messages",
    "default_chat_chain",
    "default_tool_chain",
    "generate_message_id",
    "mark_context",
    "select_chain",
]
