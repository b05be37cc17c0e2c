"""WordPiece: BERT's way from text to numbers, without a tokenizer library.

The library that is usually taken for this brings a hub client and nine more packages; what an
uncased BERT vocabulary needs is this file. It gives the ids of that library on every text of the
tests, but for one thing: the names of special tokens inside a text ("[SEP]") are plain text here,
so that nobody can end a passage from within.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from pyeino.errors import ParseError

UNKNOWN: Final = "[UNK]"
START: Final = "[CLS]"
END: Final = "[SEP]"
PADDING: Final = "[PAD]"
_MAX_WORD = 100  # characters; longer words are unknown, as the model was trained
_CACHED_WORDS = 65_536
_KEPT_CONTROLS = "\t\n\r"
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """An uncased BERT tokenizer over `vocabulary` (token to id); safe to use from any thread."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        missing = [one for one in (UNKNOWN, START, END, PADDING) if one not in vocabulary]
        if missing:
            raise ParseError(
                "this is no BERT vocabulary",
                expected=f"{UNKNOWN}, {START}, {END} and {PADDING} in it",
                found=f"no {', '.join(missing)}",
            )
        self._vocabulary = vocabulary
        self.start, self.end = vocabulary[START], vocabulary[END]
        self.padding, self._unknown = vocabulary[PADDING], vocabulary[UNKNOWN]
        self._pieces = lru_cache(_CACHED_WORDS)(self._split_word)

    @classmethod
    def from_file(cls, path: Path) -> WordPiece:
        """The tokenizer of a vocabulary file: one token a line, its id the line's number."""
        tokens = path.read_text(encoding="utf-8").split("\n")
        return cls({token: number for number, token in enumerate(tokens) if token})

    def encode(self, text: str, *, limit: int) -> list[int]:
        """The ids of `text` between start and end, at most `limit` of them, cut at the end."""
        ids = [self.start]
        for word in _words(text):
            ids.extend(self._pieces(word))
            if len(ids) >= limit:
                break
        return [*ids[: limit - 1], self.end]

    def count(self, text: str) -> int:
        """How many tokens `text` has, start and end not counted."""
        return sum(len(self._pieces(word)) for word in _words(text))

    def _split_word(self, word: str) -> tuple[int, ...]:
        """The longest known beginnings, one after the other; a word with an unknown rest is one."""
        if len(word) > _MAX_WORD:
            return (self._unknown,)
        pieces: list[int] = []
        begin = 0
        while begin < len(word):
            prefix = "##" if begin else ""
            for end in range(len(word), begin, -1):
                found = self._vocabulary.get(prefix + word[begin:end])
                if found is not None:
                    pieces.append(found)
                    begin = end
                    break
            else:
                return (self._unknown,)
        return tuple(pieces)


def _words(text: str) -> Iterator[str]:
    """Lower-cased words without accents; each mark of punctuation and ideograph is a word."""
    for chunk in _cleaned(text).split():
        begin = 0
        for index, character in enumerate(chunk):
            if _is_punctuation(character):
                if begin < index:
                    yield chunk[begin:index]
                yield character
                begin = index + 1
        if begin < len(chunk):
            yield chunk[begin:]


def _cleaned(text: str) -> str:
    if text.isascii():
        kept = text if text.isprintable() else "".join(map(_cleaned_character, text))
        return kept.lower()
    spaced = "".join(map(_cleaned_character, text))
    marks = unicodedata.normalize("NFD", spaced)
    # One by one: in a whole text the lower case of some letters depends on their neighbours.
    return "".join(c.lower() for c in marks if unicodedata.category(c) != "Mn")


def _cleaned_character(character: str) -> str:
    if character.isspace() and (character in _KEPT_CONTROLS or not _is_control(character)):
        return " "
    if character == "\ufffd" or _is_control(character):
        return ""
    code = ord(character)
    if code >= 0x3400 and any(low <= code <= high for low, high in _IDEOGRAPHS):
        return f" {character} "
    return character


@lru_cache(4096)
def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs")


@lru_cache(4096)
def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    return unicodedata.category(character).startswith("P")
