"""Messages, documents, tools and their codecs: the vocabulary of every other room."""

from pyeino.schema._codec import Codec
from pyeino.schema._codec_types import StoredType, Upcaster
from pyeino.schema._document import Document
from pyeino.schema._extra import concat_extra
from pyeino.schema._function_input import FunctionInput, function_input
from pyeino.schema._json_schema import json_schema_of
from pyeino.schema._message import Message, Role, concat_message_lists
from pyeino.schema._parser import MessageParser
from pyeino.schema._parts import (
    AudioPart,
    FilePart,
    ImagePart,
    InputPart,
    MediaPart,
    OutputPart,
    ReasoningPart,
    TextPart,
    ToolSearchResultPart,
    VideoPart,
)
from pyeino.schema._process import process_messages
from pyeino.schema._tool_call import FunctionCall, ToolCall
from pyeino.schema._tool_info import DataType, ParameterInfo, ToolChoice, ToolExample, ToolInfo
from pyeino.schema._tool_result import ToolResult
from pyeino.schema._usage import (
    CompletionTokenDetails,
    LogProb,
    LogProbs,
    PromptTokenDetails,
    ResponseMeta,
    TokenUsage,
    TopLogProb,
)

__all__ = [
    "AudioPart",
    "Codec",
    "CompletionTokenDetails",
    "DataType",
    "Document",
    "FilePart",
    "FunctionCall",
    "FunctionInput",
    "ImagePart",
    "InputPart",
    "LogProb",
    "LogProbs",
    "MediaPart",
    "Message",
    "MessageParser",
    "OutputPart",
    "ParameterInfo",
    "PromptTokenDetails",
    "ReasoningPart",
    "ResponseMeta",
    "Role",
    "StoredType",
    "TextPart",
    "TokenUsage",
    "ToolCall",
    "ToolChoice",
    "ToolExample",
    "ToolInfo",
    "ToolResult",
    "ToolSearchResultPart",
    "TopLogProb",
    "Upcaster",
    "VideoPart",
    "concat_extra",
    "concat_message_lists",
    "function_input",
    "json_schema_of",
    "process_messages",
]
