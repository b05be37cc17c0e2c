"""LoadTestConfig: what to send, where, how much and for how long; all that is wrong, at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pyeino.errors import PyeinoError
from pyeino.loadtest._bodies import DEFAULT_BODY, body_problem

CHAT_PATH = "/api/v1/chat"
MAX_CONCURRENCY = 10_000
_MAX_RATE = 1_000_000.0
_MAX_SECONDS = 86_400.0
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHODS = frozenset({"DELETE", "GET", "PATCH", "POST", "PUT"})
_OWN_BODY = "/api/v1/chat"


class LoadTestConfigError(PyeinoError, ValueError):
    """A load test was declared wrongly; `problems` holds every reason, not just the first."""

    default_code = "LOADTEST_CONFIG"

    def __init__(self, problems: tuple[str, ...]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {number}. {problem}" for number, problem in enumerate(problems, 1))
        super().__init__(f"{count} in the load test:{lines}")
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTestConfig:
    """A load test. Raises LoadTestConfigError with everything that is wrong with it.

    target: where to, such as `http://127.0.0.1:8080`; without a path it is `/api/v1/chat`. There
        is no default: what is put under load is always named.
    concurrency: requests under way at once, each on a connection of its own that is kept.
    duration, ramp_up: seconds of the measured window, and of the ramp before it, in which the
        workers start evenly. Requests that begin in the ramp are reported apart.
    rate: None is a closed loop: a worker sends the next request when it has the answer to the
        last. A number is an open loop: so many requests a second are due, whatever the server
        does, and a latency counts from when its request was due.
    timeout: seconds that one request may take; then it has failed.
    drain: seconds that requests may take to end after the window; what is left is unfinished.
    bodies: templates that are sent in turn (see `Template`); none: the guide's request, numbered
        from the second on. A target other than the native chat needs some.
    first_chunk_limit, gap_limit: what a stream has to keep to count as goodput, in seconds: the
        time to its first chunk, and its average gap between chunks.
    ca_file: certificates to trust for https instead of the system's; verify=False trusts all.
    """

    target: str
    concurrency: int = 10
    duration: float = 30.0
    ramp_up: float = 0.0
    rate: float | None = None
    timeout: float = 60.0
    drain: float = 10.0
    method: str = "POST"
    bodies: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    api_key: str = field(default="", repr=False)
    first_chunk_limit: float = 1.0
    gap_limit: float = 0.2
    ca_file: Path | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        problems = tuple(_problems(self))
        if problems:
            raise LoadTestConfigError(problems)
        parts = urlsplit(self.target)
        if parts.path in ("", "/"):
            parts = parts._replace(path=CHAT_PATH)
        # a scheme in capitals would not be known below
        object.__setattr__(self, "target", parts._replace(scheme=parts.scheme.lower()).geturl())
        if not self.bodies and self.method != "GET" and self.has_own_body:
            object.__setattr__(self, "bodies", (DEFAULT_BODY,))

    @property
    def has_own_body(self) -> bool:
        """Whether the target is a route for which a body is known."""
        return urlsplit(self.target).path.rstrip("/") in {"", _OWN_BODY, f"{_OWN_BODY}/stream"}

    @property
    def path(self) -> str:
        """The path of the target: the label under which the server counts it."""
        return urlsplit(self.target).path


def _problems(config: LoadTestConfig) -> Iterator[str]:
    yield from _target_problems(config)
    yield from _number_problems(config)
    yield from _header_problems(config)
    as_json = _content_type(config) == "application/json"
    for number, body in enumerate(config.bodies, 1):
        problem = body_problem(body, as_json=as_json)
        if problem:
            yield f"body {number}: {problem}"


def _target_problems(config: LoadTestConfig) -> Iterator[str]:
    parts = _split(config.target)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        yield "target: expected an http:// or https:// URL, such as http://127.0.0.1:8080"
        return
    if parts.username is not None or parts.password is not None:
        yield "target: no user name or password in the URL, please: use api_key or headers"
    if parts.fragment:
        yield f"target: a fragment is never sent, found #{parts.fragment}"
    if config.method not in _METHODS:
        yield f"method: expected one of {', '.join(sorted(_METHODS))}, found {config.method!r}"
    elif config.method == "POST" and not config.bodies and not config.has_own_body:
        yield f"bodies: {parts.path} needs some; only {CHAT_PATH} and its stream have their own"
    if parts.scheme == "http" and (config.ca_file is not None or not config.verify):
        yield "ca_file, verify: these are for https:// targets only"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return None
    return parts


def _number_problems(config: LoadTestConfig) -> Iterator[str]:
    if not 1 <= config.concurrency <= MAX_CONCURRENCY:
        yield f"concurrency: expected 1 to {MAX_CONCURRENCY}, found {config.concurrency}"
    for name, least_is_open in (
        ("duration", True),
        ("timeout", True),
        ("first_chunk_limit", True),
        ("gap_limit", True),
        ("ramp_up", False),
        ("drain", False),
    ):
        value: float = getattr(config, name)
        # Written so that NaN, which compares with nothing, is refused too.
        good = math.isfinite(value) and 0 <= value <= _MAX_SECONDS and (value or not least_is_open)
        if not good:
            above = "more than 0" if least_is_open else "0 or more"
            yield f"{name}: expected {above} and at most {_MAX_SECONDS:.0f} seconds, found {value}"
    if config.rate is not None and not 0 < config.rate <= _MAX_RATE:
        yield f"rate: expected above 0 and at most {_MAX_RATE:.0f} a second, found {config.rate}"


def _header_problems(config: LoadTestConfig) -> Iterator[str]:
    sent = dict(config.headers)
    if config.api_key:
        sent |= {"api_key": config.api_key}
        if any(name.lower() == "authorization" for name in config.headers):
            yield "api_key: there is an authorization header already; give one of them"
    for name, value in sent.items():
        fits = value.isascii() and value.isprintable()
        if not _HEADER_NAME.fullmatch(name) or not fits:
            yield f"header {name!r}: expected printable ASCII on one line (its value is not shown)"


def _content_type(config: LoadTestConfig) -> str:
    for name, value in config.headers.items():
        if name.lower() == "content-type":
            return value.partition(";")[0].strip().lower()
    return "application/json"
