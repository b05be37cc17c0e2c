"""Protocols of the kinds of component, with the options of a call."""

from pyeino.components._chat_template import ChatTemplate
from pyeino.components._model import ChatModel, ModelInfo, ModelOptions
from pyeino.components._prompt import MessagesPlaceholder, PromptPart, PromptTemplate
from pyeino.components._template_format import TemplateFormat, TextTemplate

__all__ = [
    "ChatModel",
    "ChatTemplate",
    "MessagesPlaceholder",
    "ModelInfo",
    "ModelOptions",
    "PromptPart",
    "PromptTemplate",
    "TemplateFormat",
    "TextTemplate",
]
