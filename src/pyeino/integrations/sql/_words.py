"""Texts as words, cut in the same way for every store: what is compared is what was kept."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_TERMS: Final = 48
_STOP_WORDS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        a about an and any are as at be by can could do does did for from has have how i if in into
        is it its many me much my of on or our should than that the their them there these they
        this to was we were what when where which who whom whose why will with would you your
        """,
    )
)
_WORD = re.compile(r"\w+")
_PLAIN_WORD = re.compile(r"[^\W_]+")


def telling_words(text: str) -> list[str]:
    """The different words of a question, at most MAX_TERMS.

    Words that every sentence has are left out when others are there.
    """
    words = list(dict.fromkeys(_WORD.findall(text.lower())))
    return ([word for word in words if word not in _STOP_WORDS] or words)[:MAX_TERMS]


def plain_words(text: str) -> str:
    """`text` as letters and digits with spaces between words: small, without accents."""
    apart = unicodedata.normalize("NFKD", text.lower())
    bare = "".join(char for char in apart if not unicodedata.combining(char))
    return " ".join(_PLAIN_WORD.findall(bare))
