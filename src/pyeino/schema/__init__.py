"""Messages, documents, tools and their codecs: the vocabulary of every other room."""

from pyeino.schema._extra import concat_extra
from pyeino.schema._message import Message, Role
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
from pyeino.schema._tool_call import FunctionCall, ToolCall
from pyeino.schema._tool_info import DataType, ParameterInfo, ToolChoice, ToolInfo
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
    "CompletionTokenDetails",
    "DataType",
    "FilePart",
    "FunctionCall",
    "ImagePart",
    "InputPart",
    "LogProb",
    "LogProbs",
    "MediaPart",
    "Message",
    "OutputPart",
    "ParameterInfo",
    "PromptTokenDetails",
    "ReasoningPart",
    "ResponseMeta",
    "Role",
    "TextPart",
    "TokenUsage",
    "ToolCall",
    "ToolChoice",
    "ToolInfo",
    "ToolSearchResultPart",
    "TopLogProb",
    "VideoPart",
    "concat_extra",
]
