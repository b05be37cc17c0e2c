"""ChatTemplate: what turns variables into messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from pyeino.schema import Message


@runtime_checkable
class ChatTemplate(Protocol):
    """Variables in, messages out; pure and quick, so it is not async.

    Raises TemplateError when a variable is missing. Does not change itself or the variables.
    """

    def format(self, variables: Mapping[str, Any]) -> list[Message]:
        """The messages for these variables."""
        ...
