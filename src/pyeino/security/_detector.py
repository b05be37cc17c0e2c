"""mask_text: credentials and personal data found in free text and hidden.

It runs in the event loop, on text from outside, for every line of the log. So each search begins
only where something cheap hints at it, and every repetition is bounded or possessive: no text,
however it is made, takes longer than in proportion to its length. Borders are those of ASCII
words, because Chinese text has no space before a number or an address.
"""

from __future__ import annotations

import re
from typing import Final

from pyeino.security._formats import (
    HIDDEN,
    digits_of,
    mask_credit_card,
    mask_email,
    mask_id_card,
    mask_phone,
)

_D: Final = r"[0-9\uff10-\uff19]"  # the wide digits of Chinese text, too
_START: Final = rf"(?<![0-9A-Za-z_\uff10-\uff19])(?<!{_D}\.)"
_END: Final = r"(?![0-9A-Za-z_\uff10-\uff19])"

_NAMED: Final = re.compile(
    r"(?P<name>(?:api[_-]?key|access[_-]?key|private[_-]?key|passphrase|password|passwd|pwd|"
    r"secret|token|authorization|credentials?|cookie|x-amz-signature)"
    r"[\"']?\s{0,4}[:=]\s{0,4}[\"']?)"
    r"(?:(?:bearer|basic)\s{1,4})?[^\s\"'&,;}]{3,}+"
    r"|(?P<parameter>[?&](?:key|sig|signature|code|auth|jwt)=)[^\s\"'&,;}#]{3,}+",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(
    r"(?P<scheme>(?<![0-9A-Za-z_])(?:bearer|basic)\s{1,4})[A-Za-z0-9._~+/=-]{6,}+", re.IGNORECASE
)
_KEY: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:(?:sk|pk|rk|pyk|gh[opsur]|github_pat|glpat|xox[abeprs]|pyeino)[-_]"
    r"[A-Za-z0-9_-]{8,}+"
    r"|hf_[A-Za-z0-9]{20,}+|AKIA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{35})",
    re.IGNORECASE,
)
_JWT: Final = re.compile(
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]*+"
)
_URL: Final = re.compile(
    r"(?P<url>(?<![0-9A-Za-z+.-])[a-z][a-z0-9+.-]{0,20}://[^\s:/@]{0,128}:)[^\s/@]{1,256}@",
    re.IGNORECASE,
)
_EMAIL: Final = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,256}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,8}")
_NUMBER: Final = re.compile(
    rf"{_START}(?:"
    rf"(?P<id>{_D}{{6}}[ -]?{_D}{{8}}[ -]?{_D}{{3}}(?:{_D}|[Xx]){_END})"
    rf"|(?P<card>(?:{_D}{{13,19}}|{_D}{{4}}[ -]{_D}{{4}}[ -]{_D}{{4}}[ -]{_D}{{1,7}}"
    rf"|{_D}{{4}}[ -]{_D}{{6}}[ -]{_D}{{4,5}}){_END})"
    rf"|(?P<phone>\+{_D}(?:[ ().-]{{0,2}}{_D}){{7,14}}{_END}"
    rf"|[1\uff11][3-9\uff13-\uff19]{_D}[ -]?{_D}{{4}}[ -]?{_D}{{4}}{_END}"
    rf"|\(?{_D}{{3}}(?:\) ?|[ .-]){_D}{{3}}[ .-]{_D}{{4}}{_END})"
    r")"
)
_HINT_OF_NUMBER: Final = re.compile(rf"{_D}{{3}}|[+]{_D}")


def mask_text(text: str) -> str:
    """`text` with what should not be read in it masked.

    Found are: what follows a name such as `password=` or `"api_key":`; bearer and basic
    credentials; API keys of known forms; JWTs; passwords and signatures in URLs; e-mail
    addresses; phone numbers; card numbers (by their check digit); Chinese id numbers (by theirs).
    A secret without any such mark cannot be told from a word.
    """
    if ":" in text or "=" in text:
        text = _NAMED.sub(_mask_named, text)
    if " " in text or "\t" in text or "\n" in text:
        lowered = text.lower()
        if "bearer" in lowered or "basic" in lowered:
            text = _SCHEME.sub(rf"\g<scheme>{HIDDEN}", text)
    if "eyJ" in text:
        text = _JWT.sub(f"eyJ{HIDDEN}", text)
    if "-" in text or "_" in text or "AKIA" in text or "AIza" in text:
        text = _KEY.sub(_mask_key, text)
    if "@" in text:
        if "://" in text:
            text = _URL.sub(rf"\g<url>{HIDDEN}@", text)
        text = _EMAIL.sub(_mask_email, text)
    if _HINT_OF_NUMBER.search(text):
        text = _NUMBER.sub(_mask_number, text)
    return text


def _mask_named(match: re.Match[str]) -> str:
    return f"{match['name'] or match['parameter']}{HIDDEN}"


def _mask_key(match: re.Match[str]) -> str:
    return f"{match[0][:3]}{HIDDEN}"


def _mask_email(match: re.Match[str]) -> str:
    name, _, domain = match[0].partition("@")
    # Chinese words before an address look like a part of its name; of one or two letters that
    # is all there may be of the real one.
    if name[-1].isascii() and not name[-3:].isascii():
        return f"{HIDDEN}@{domain}"
    return mask_email(match[0])


def _mask_number(match: re.Match[str]) -> str:
    found, digits = match[0], digits_of(match[0])
    if match["id"] and _is_id_number(digits):
        return mask_id_card(found)
    if match["phone"]:
        return mask_phone(found)
    if 13 <= len(digits) <= 19 and digits.isdecimal() and _is_card_number(digits):
        return mask_credit_card(found)
    return found


def _is_card_number(digits: str) -> bool:
    """Whether it begins as cards do, which no time of these years does, and its check holds."""
    values = [int(one) for one in digits]
    if not 2221 <= int(digits[:4]) <= 6999:
        return False
    doubled = (value * 2 - 9 if value > 4 else value * 2 for value in values[-2::-2])
    return (sum(values[-1::-2]) + sum(doubled)) % 10 == 0


def _is_id_number(digits: str) -> bool:
    """Whether the last character of a Chinese id number is the check of the others."""
    body, last = digits[:-1], digits[-1].upper()
    total = sum(int(one) * (pow(2, 17 - place, 11)) for place, one in enumerate(body))
    expected = (12 - total % 11) % 11
    found = 10 if last == "X" else int(last)
    return found == expected
