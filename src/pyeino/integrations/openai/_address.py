"""What an endpoint is made from: URL and headers, checked; its secrets kept out of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, urlsplit

from pyeino.errors import DeclarationError
from pyeino.monitoring import mask_text

_CUT = 8_000
_MASK = "***"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def checked_url(base_url: str) -> str:
    """`base_url` without a slash at its end. Raises DeclarationError; never shows a password."""
    parts = _split(base_url)
    if parts is None:
        raise _bad_url("an http:// or https:// URL", "something that is no URL, not shown here")
    if parts.username is not None or parts.password is not None:
        raise _bad_url("no user name or password in it", "both or one of them, not shown here")
    if parts.query or parts.fragment:
        raise _bad_url("a path and nothing after it", "a query or fragment, not shown here")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _bad_url("an http:// or https:// URL", repr(base_url))
    return base_url.strip().rstrip("/?#")


def checked_headers(api_key: str, headers: Mapping[str, str] | None) -> dict[str, str]:
    """The headers of every call, by lower-case name; `headers` win over our own.

    Raises DeclarationError for one that HTTP cannot carry; its value is not shown.
    """
    sent = {"content-type": "application/json", "user-agent": "pyeino"}
    if api_key:
        sent["authorization"] = f"Bearer {api_key}"
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    for name, value in sent.items():
        if not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
            what = "the API key" if name == "authorization" else f"the header {name!r}"
            raise DeclarationError(
                f"{what} cannot be sent",
                expected="printable ASCII characters on one line",
                found="others, not shown here",
                remedy="look for a line end or a quotation mark that was copied along",
            )
    return sent


def checked_positive(**numbers: float) -> None:
    """Raise DeclarationError unless every number is greater than 0."""
    for name, number in numbers.items():
        if not number > 0:
            raise DeclarationError(
                f"{name} of an endpoint is out of range",
                expected="greater than 0",
                found=str(number),
            )


def hider(api_key: str, headers: Mapping[str, str] | None) -> Callable[[str], str]:
    """A function that makes a provider's text fit for a log: cut, and without our secrets.

    Providers echo what they were sent: the key and every header value of the user is hidden as it
    stands, and what looks like a secret of anybody else is as well.
    """
    values = {api_key.strip(), *((headers or {}).values())}
    secrets = sorted((value for value in values if len(value) >= 4), key=len, reverse=True)

    def hide(text: str) -> str:
        text = text[:_CUT]
        for secret in secrets:
            text = text.replace(secret, _MASK)
        return mask_text(text)

    return hide


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
    except ValueError:  # its text quotes the URL: it may not be the context of our error
        return None
    return parts


def _bad_url(expected: str, found: str) -> DeclarationError:
    return DeclarationError(
        "the base URL of a provider cannot be used",
        expected=expected,
        found=found,
        remedy="write it like http://localhost:11434/v1; keys go into api_key or headers",
    )
