"""S3Address: s3://[key:secret@]bucket[/prefix][?endpoint=…&region=…], and what it leaves open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pyeino.errors import ValidationError
from pyeino.stores import normal_key

_OPTIONS: Final = ("endpoint", "region", "credentials")
_EXPECTED: Final = "expected s3://bucket/prefix?endpoint=http://host:port&region=name"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """Where a bucket is and who asks for it.

    `endpoint` is "" for Amazon's own. Without `access_key` the roles of the machine are used,
    which `credentials=machine` in the URL asks for.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """The address without its secrets, for logs and errors."""
        place = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.bucket}{'/' if self.prefix else ''}{self.prefix}{place}"

    @classmethod
    def parse(cls, url: str, *, env: Mapping[str, str] = os.environ) -> S3Address:
        """The address in `url`; ValueError, without its secrets, when there is none.

        What it leaves open is looked up in `env`: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
        AWS_SESSION_TOKEN, AWS_ENDPOINT_URL and AWS_REGION.
        """
        try:
            parts = urlsplit(url)
            bucket = parts.hostname or ""
        except ValueError:
            raise ValueError(_EXPECTED) from None
        if parts.scheme != "s3" or not bucket:
            raise ValueError(_EXPECTED)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise ValueError(f"unknown option {unknown[0]!r}: there are {', '.join(_OPTIONS)}")
        endpoint = options.get("endpoint") or env.get("AWS_ENDPOINT_URL", "")
        if endpoint and not endpoint.startswith(("http://", "https://")):
            raise ValueError("the endpoint has to begin with http:// or https://")
        access_key, secret_key, token = _credentials(parts.username, parts.password, options, env)
        return cls(
            bucket=bucket,
            prefix=_prefix(unquote(parts.path)),
            endpoint=endpoint,
            region=options.get("region") or env.get("AWS_REGION") or "us-east-1",
            access_key=access_key,
            secret_key=secret_key,
            session_token=token,
        )


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    try:
        return normal_key(prefix) if prefix else ""
    except ValidationError as error:
        raise ValueError(f"the prefix is no path: {error.message}") from error


def _credentials(
    user: str | None, password: str | None, options: Mapping[str, str], env: Mapping[str, str]
) -> tuple[str, str, str]:
    chosen = options.get("credentials", "")
    if chosen not in ("", "machine"):
        raise ValueError("credentials may be 'machine' only, for the roles of the machine")
    if chosen == "machine":
        return "", "", ""
    if user and password:
        return unquote(user), unquote(password), ""
    access_key, secret_key = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret_key:
        return access_key, secret_key, env.get("AWS_SESSION_TOKEN", "")
    raise ValueError(
        "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
        "s3://key:secret@bucket, or add ?credentials=machine for the roles of the machine"
    )
