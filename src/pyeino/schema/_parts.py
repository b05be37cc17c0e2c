"""Parts: text, media and reasoning that one message is made of.

A part is one of seven frozen records, told apart in JSON by `type`. Media come by `url` or as
`base64_data` with a `mime_type`. `streaming_index` says which part of the answer a streamed chunk
belongs to; it is for concatenation only and not in the JSON form of a message.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from pyeino.schema._tool_info import ToolInfo


class TextPart(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="text"
):
    """Plain text."""

    text: str
    extra: dict[str, Any] = {}
    streaming_index: int | None = None


class ReasoningPart(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="reasoning"
):
    """What the model thought, and the provider's `signature` over it."""

    text: str
    signature: str = ""
    extra: dict[str, Any] = {}
    streaming_index: int | None = None


class ImagePart(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="image_url"
):
    """An image; `detail` tells the model how closely to look at an image of the user."""

    url: str = ""
    base64_data: str = ""
    mime_type: str = ""
    detail: Literal["", "high", "low", "auto"] = ""
    extra: dict[str, Any] = {}
    streaming_index: int | None = None


class AudioPart(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="audio_url"
):
    """A piece of sound."""

    url: str = ""
    base64_data: str = ""
    mime_type: str = ""
    extra: dict[str, Any] = {}
    streaming_index: int | None = None


class VideoPart(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="video_url"
):
    """A film."""

    url: str = ""
    base64_data: str = ""
    mime_type: str = ""
    extra: dict[str, Any] = {}
    streaming_index: int | None = None


class FilePart(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="file_url"
):
    """A file; `name` is what the user calls it."""

    url: str = ""
    base64_data: str = ""
    mime_type: str = ""
    name: str = ""
    extra: dict[str, Any] = {}


class ToolSearchResultPart(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="type",
    tag="tool_search_result",
):
    """Tools that a tool search found and that the model may call from now on."""

    tools: tuple[ToolInfo, ...] = ()
    extra: dict[str, Any] = {}


MediaPart: TypeAlias = ImagePart | AudioPart | VideoPart | FilePart
"""A part that carries a url or base64 data."""

InputPart: TypeAlias = (
    TextPart | ImagePart | AudioPart | VideoPart | FilePart | ToolSearchResultPart
)
"""What a user or a tool may send."""

OutputPart: TypeAlias = TextPart | ImagePart | AudioPart | VideoPart | ReasoningPart
"""What a model may answer with."""
