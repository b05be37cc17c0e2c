"""The business layer: chat requests answered through the chain that fits, history kept."""

from pyeino.service._api_keys import CreatedApiKey, create_api_key
from pyeino.service._authenticator import Authenticator
from pyeino.service._budget import TokenBudget, estimate_tokens
from pyeino.service._chat_service import ChatService
from pyeino.service._embeddings import EmbeddingAnswer, Embeddings
from pyeino.service._ids import generate_message_id
from pyeino.service._inputs import ChatInput, RAGInput, ToolInput
from pyeino.service._limits import ServiceLimits
from pyeino.service._processor_config import ProcessorConfig
from pyeino.service._prompt import build_messages, default_chat_chain, mark_context
from pyeino.service._query_processor import create_query_messages, create_query_processor
from pyeino.service._rag import (
    UNKNOWN_ANSWER,
    IndexProbe,
    RAGSettings,
    default_rag_chain,
    retriever_probe,
)
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
from pyeino.service._response_formatter import create_response_formatter
from pyeino.service._runs import Run, RunManager, StopReason
from pyeino.service._selection import ChainFacts, Selection, Selector, select_chain
from pyeino.service._sessions import (
    MessagePage,
    MessageRecord,
    SessionPage,
    SessionRecord,
    Sessions,
)
from pyeino.service._stream_processors import create_batch_processor, create_streaming_processor
from pyeino.service._tools import default_tool_chain

__all__ = [
    "UNKNOWN_ANSWER",
    "Authenticator",
    "CallContext",
    "ChainFacts",
    "ChatChunk",
    "ChatInput",
    "ChatMessage",
    "ChatOptions",
    "ChatRequest",
    "ChatResponse",
    "ChatService",
    "CreatedApiKey",
    "EmbeddingAnswer",
    "Embeddings",
    "IndexProbe",
    "MessagePage",
    "MessageRecord",
    "MultiTurnChatRequest",
    "ProcessorConfig",
    "RAGInput",
    "RAGSettings",
    "Run",
    "RunManager",
    "Selection",
    "Selector",
    "ServiceLimits",
    "SessionPage",
    "SessionRecord",
    "Sessions",
    "StopReason",
    "TokenBudget",
    "TokenUsage",
    "ToolInput",
    "build_messages",
    "create_api_key",
    "create_batch_processor",
    "create_query_messages",
    "create_query_processor",
    "create_response_formatter",
    "create_streaming_processor",
    "default_chat_chain",
    "default_rag_chain",
    "default_tool_chain",
    "estimate_tokens",
    "generate_message_id",
    "mark_context",
    "retriever_probe",
    "select_chain",
]
