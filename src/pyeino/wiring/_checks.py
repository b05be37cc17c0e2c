"""Checks that need more than one key, and settings that this version cannot honour."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from pyeino.errors import MissingDependencyError, ValidationError
from pyeino.integrations.sql import PostgresDatabase
from pyeino.security import decode_key
from pyeino.wiring._check_access import check_access
from pyeino.wiring._check_workers import check_workers
from pyeino.wiring._keys import all_keys
from pyeino.wiring._located import problem_at, value_at
from pyeino.wiring._placeholders import check_placeholders
from pyeino.wiring._problem import SettingProblem
from pyeino.wiring._tree import (
    FILE_PREFIX,
    LOCAL_DIMENSION,
    LOCAL_MODEL,
    OPENAI_URL,
    S3_PREFIX,
    SQLITE_PREFIX,
    Settings,
)

# Key or section → what to do instead. A value other than the default is refused, because to
# take it and do nothing would be a lie.
NOT_IN_THIS_VERSION = {
    "rag.vector_store.url": "Remove it: passages are kept in the database of the sessions",
}
_ONLY_POSTGRES = tuple(
    f"database.{name}"
    for name in ("pool_size", "pool_timeout", "start_timeout", "statement_timeout")
)
_REDIS_PREFIXES = ("redis://", "rediss://", "unix://")
# Tokens of one slot; the engine gives them in such steps.
_LEAST_CONTEXT = 256
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# The guide's own words for its checks.
GUIDE_WORDS = {
    "llm.max_tokens": "LLM max tokens must be positive",
    "rag.retrieval.top_k": "RAG retrieval top_k must be positive",
}


def check(settings: Settings) -> list[SettingProblem]:
    """All that is wrong with settings whose keys are each right by themselves."""
    return [
        *check_placeholders(settings),
        *_check_not_in_this_version(settings),
        *_check_database(settings),
        *_check_encryption(settings),
        *_check_redis(settings),
        *_check_jobs(settings),
        *_check_model(settings),
        *_check_retrieval(settings),
        *_check_tracing(settings),
        *check_access(settings),
        *check_workers(settings),
    ]


def _check_not_in_this_version(settings: Settings) -> Iterator[SettingProblem]:
    for path, key in all_keys().items():
        if value_at(settings, path) == key.default:
            continue
        for prefix, remedy in NOT_IN_THIS_VERSION.items():
            if path.startswith(prefix):
                yield problem_at(settings, path, "not in this version", remedy=remedy)


def _check_database(settings: Settings) -> Iterator[SettingProblem]:
    url = settings.database.url
    if settings.uses_postgres:
        try:
            PostgresDatabase.describe(url)
        except ValueError as error:
            yield problem_at(
                settings, "database.url", "not a PostgreSQL URL", remedy=_sentence(error)
            )
        return
    if url and (not url.startswith(SQLITE_PREFIX) or len(url) == len(SQLITE_PREFIX)):
        yield problem_at(
            settings,
            "database.url",
            "expected SQLite or PostgreSQL",
            remedy="Give sqlite:///folder/name.db or postgres://user:password@host:5432/name, "
            "or remove it for the default file",
        )
    for path in _ONLY_POSTGRES:
        if value_at(settings, path) != all_keys()[path].default:
            yield problem_at(
                settings,
                path,
                "SQLite has no use for it",
                remedy="Remove it, or name a PostgreSQL server in database.url",
            )


def _check_encryption(settings: Settings) -> Iterator[SettingProblem]:
    database = settings.database
    for name, keys in (
        ("encryption_key", [database.encryption_key] if database.encryption_key else []),
        ("previous_encryption_keys", database.previous_encryption_keys),
    ):
        for key in keys:
            try:
                decode_key(key)
            except ValidationError as error:
                yield problem_at(
                    settings, f"database.{name}", error.message, remedy=error.details or ""
                )


def _sentence(error: ValueError) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}"


def _check_redis(settings: Settings) -> Iterator[SettingProblem]:
    url = settings.redis.url
    if url and not url.startswith(_REDIS_PREFIXES):
        yield problem_at(
            settings,
            "redis.url",
            "expected a URL that begins with redis://, rediss:// or unix://",
            remedy="For example redis://127.0.0.1:6379/0, or remove it to keep things in process",
        )


def _check_jobs(settings: Settings) -> Iterator[SettingProblem]:
    url = settings.queue.url
    if url and not url.startswith(_REDIS_PREFIXES):
        yield problem_at(
            settings,
            "queue.url",
            "expected a URL that begins with redis://, rediss:// or unix://",
            remedy="For example redis://127.0.0.1:6379/1, or remove it to keep jobs in the "
            "database",
        )
    url = settings.storage.url
    if url.startswith(S3_PREFIX):
        try:
            from pyeino.integrations.s3 import S3Address

            S3Address.parse(url)
        except MissingDependencyError as error:
            yield problem_at(
                settings, "storage.url", "the extra s3 is not installed", remedy=error.remedy or ""
            )
        except ValueError as error:
            yield problem_at(settings, "storage.url", "not a bucket", remedy=_sentence(error))
    elif url and not (url.startswith(f"{FILE_PREFIX}/") and url != f"{FILE_PREFIX}/"):
        yield problem_at(
            settings,
            "storage.url",
            "expected a folder or a bucket",
            remedy="Give file:///folder or s3://bucket/prefix?endpoint=…, or remove it for a "
            "folder beside the database",
        )


def _check_model(settings: Settings) -> Iterator[SettingProblem]:
    if settings.llm.provider == "local":
        yield from _check_local(settings)
    else:
        yield from _check_openai(settings)


def _check_local(settings: Settings) -> Iterator[SettingProblem]:
    for path in ("llm.api_key", "llm.base_url"):
        if value_at(settings, path):
            yield problem_at(
                settings,
                path,
                "the local model takes none",
                remedy="Set llm.provider: openai to use an OpenAI-compatible endpoint",
            )
    if settings.llm.retry_count != all_keys()["llm.retry_count"].default:
        yield problem_at(
            settings,
            "llm.retry_count",
            "a call of the local model is never repeated",
            remedy="Remove it: a failure on this machine is not a passing one",
        )
    local = settings.llm.local
    if local.context // local.slots < _LEAST_CONTEXT:
        yield problem_at(
            settings,
            "llm.local.context",
            f"{local.slots} slots share it, which leaves each less than {_LEAST_CONTEXT} tokens",
            remedy=f"At least {local.slots * _LEAST_CONTEXT}, or fewer slots",
        )


def _check_openai(settings: Settings) -> Iterator[SettingProblem]:
    llm = settings.llm
    for path, key in all_keys().items():
        if path.startswith("llm.local.") and value_at(settings, path) != key.default:
            yield problem_at(
                settings,
                path,
                f"the provider {llm.provider} has no use for it",
                remedy="Remove it, or set llm.provider: local",
            )
    if llm.model == LOCAL_MODEL:
        yield problem_at(
            settings,
            "llm.model",
            f"the provider {llm.provider} needs the name of one of its models",
            remedy="Set llm.model (PYEINO_LLM__MODEL)",
        )
    if not llm.api_key and llm.base_url.rstrip("/") in ("", OPENAI_URL):
        yield problem_at(
            settings,
            "llm.api_key",
            "LLM API key is required",
            remedy="Set llm.api_key (PYEINO_LLM__API_KEY, or PYEINO_LLM__API_KEY_FILE for a file); "
            "an endpoint of your own (llm.base_url) may need none",
        )
    if llm.base_url and not _is_http_url(llm.base_url):
        yield problem_at(
            settings,
            "llm.base_url",
            "expected a URL that begins with http:// or https://",
            remedy=f"For example {OPENAI_URL}",
        )


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _check_retrieval(settings: Settings) -> Iterator[SettingProblem]:
    rag, path = settings.rag, "rag.embedding"
    if rag.vector_store.provider == "sqlite" and settings.uses_postgres:
        yield problem_at(
            settings,
            "rag.vector_store.provider",
            "passages are kept in the database of the sessions, which is PostgreSQL",
            remedy="Set rag.vector_store.provider: database, or remove it",
        )
    if rag.retrieval.vector_weight == 0 == rag.retrieval.keyword_weight:
        yield problem_at(
            settings,
            "rag.retrieval.vector_weight",
            "both weights are 0",
            remedy="Give rag.retrieval.vector_weight or rag.retrieval.keyword_weight another value",
        )
    if rag.embedding.provider == "openai":
        if not rag.embedding.model:
            yield problem_at(
                settings,
                f"{path}.model",
                "the provider openai needs the name of one of its models",
                remedy="For example text-embedding-3-small",
            )
        if not rag.embedding.api_key and not rag.embedding.base_url:
            yield problem_at(
                settings,
                f"{path}.api_key",
                "an API key is required",
                remedy="Set it, or rag.embedding.base_url for an endpoint of your own",
            )
        return
    yield from _check_dimension(settings)
    for name in ("model", "api_key", "base_url"):
        if getattr(rag.embedding, name):
            yield problem_at(
                settings,
                f"{path}.{name}",
                f"the provider {rag.embedding.provider} takes none",
                remedy="Set rag.embedding.provider: openai to use an OpenAI-compatible endpoint",
            )


def _check_dimension(settings: Settings) -> Iterator[SettingProblem]:
    for path in ("rag.embedding.dimension", "rag.vector_store.dimension"):
        if value_at(settings, path) not in (None, LOCAL_DIMENSION):
            yield problem_at(
                settings,
                path,
                f"the vectors of the local embedder have {LOCAL_DIMENSION} numbers",
                remedy="Remove it",
            )


def _check_tracing(settings: Settings) -> Iterator[SettingProblem]:
    tracing = settings.tracing
    if not _is_http_url(tracing.endpoint):
        yield problem_at(
            settings,
            "tracing.endpoint",
            "expected a URL that begins with http:// or https://",
            remedy="The base URL of an OTLP/HTTP collector, such as http://127.0.0.1:4318",
        )
    bad = [
        name
        for name, value in tracing.headers.items()
        if not isinstance(value, str) or not is_header(name, value)
    ]
    if bad:
        yield problem_at(
            settings,
            "tracing.headers",
            f"HTTP cannot carry {', '.join(sorted(bad))}",
            remedy="Give each header a plain name and a text in one line of ASCII",
        )
    if tracing.enabled and importlib.util.find_spec("opentelemetry.sdk") is None:
        yield problem_at(
            settings,
            "tracing.enabled",
            "the extra tracing is not installed",
            remedy="pip install 'pyeino[tracing]', or set tracing.enabled: false",
        )


def is_header(name: str, value: str) -> bool:
    """Whether HTTP can carry a header of this name and value."""
    return _HEADER_NAME.fullmatch(name) is not None and value.isascii() and value.isprintable()
