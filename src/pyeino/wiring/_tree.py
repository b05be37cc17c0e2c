"""The settings tree: every key with its type, bounds and default.

A key's path is its section and name joined by a dot (`llm.api_key`); its environment variable is
`PYEINO_` and the path in capitals joined by two underscores (`PYEINO_LLM__API_KEY`). Durations
are seconds, or text such as "30s", "5m", "250ms"; sizes are bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import platformdirs
from msgspec import Meta

from pyeino.integrations.sql import POSTGRES_SCHEMES
from pyeino.monitoring import mask_fields

LOCAL_MODEL = "smollm2-135m-instruct"
OPENAI_URL = "https://api.openai.com/v1"
SQLITE_PREFIX = "sqlite:///"
FILE_PREFIX = "file://"
S3_PREFIX = "s3://"
LOCAL_DIMENSION = 384
ANY_HOST = "0.0.0.0"  # noqa: S104 (only with auth, or where somebody has asked for it)  # nosec B104

DURATION = "duration"
SECRET = "secret"  # noqa: S105 (a marker, not a secret)  # nosec B105

Duration = Annotated[float, Meta(gt=0, le=86_400, extra={"kind": DURATION})]
Delay = Annotated[float, Meta(ge=0, le=86_400, extra={"kind": DURATION})]
Positive = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Secret = Annotated[str, Meta(extra={"kind": SECRET})]
Secrets = Annotated[tuple[str, ...], Meta(extra={"kind": SECRET})]
Lifetime = Annotated[float, Meta(gt=0, le=31_536_000, extra={"kind": DURATION})]


class _Section(msgspec.Struct, frozen=True, kw_only=True):
    """One section of the tree."""

    def __repr__(self) -> str:
        """Without secrets: a section may end up in a traceback."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        shown = ", ".join(f"{name}={value!r}" for name, value in mask_fields(values).items())
        return f"{type(self).__name__}({shown})"


class ServerSettings(_Section, frozen=True, kw_only=True):
    """Where the server listens and how long it waits.

    `host` is ANY_HOST where auth is enabled and nobody has said otherwise.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    read_timeout: Duration = 30.0
    write_timeout: Duration = 30.0
    idle_timeout: Duration = 120.0
    heartbeat: Duration = 10.0
    drain_delay: Delay | None = None
    drain_timeout: Duration = 30.0
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    allow_public_without_auth: bool = False
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    workers: Annotated[int, Meta(ge=1, le=64)] = 1


class DatabaseSettings(_Section, frozen=True, kw_only=True):
    """Where sessions and messages are kept."""

    url: Secret = ""
    pool_size: Positive = 10
    pool_timeout: Duration = 5.0
    start_timeout: Duration = 30.0
    statement_timeout: Duration = 30.0
    durability: Literal["normal", "strict"] = "normal"
    encryption_key: Secret = ""
    previous_encryption_keys: Secrets = ()


class RedisSettings(_Section, frozen=True, kw_only=True):
    """The shared cache and limits of several replicas."""

    url: Secret = ""
    pool_size: Positive = 16
    timeout: Duration = 5.0


class LocalModelSettings(_Section, frozen=True, kw_only=True):
    """How the model on this machine runs."""

    slots: Annotated[int, Meta(ge=1, le=64)] = 4
    context: Annotated[int, Meta(ge=256, le=1_048_576)] = 8192
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    max_queue: Annotated[int, Meta(ge=0, le=100_000)] = 32
    queue_timeout: Duration = 60.0


class LLMSettings(_Section, frozen=True, kw_only=True):
    """Which model answers, and how it is asked."""

    provider: Literal["local", "openai"] = "local"
    model: str = LOCAL_MODEL
    api_key: Secret = ""
    base_url: str = ""
    max_tokens: Positive = 4096
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = 0.7
    timeout: Duration = 60.0
    retry_count: Annotated[int, Meta(ge=0, le=20)] = 3
    system_prompt: str = ""
    local: LocalModelSettings = LocalModelSettings()
    extra: dict[str, Any] = {}


class VectorStoreSettings(_Section, frozen=True, kw_only=True):
    """Where passages and their vectors are kept: in the `database` of the sessions, or nowhere.

    `sqlite` is the same as `database` where that is SQLite.
    """

    provider: Literal["database", "sqlite", "none"] = "database"
    url: Secret = ""
    collection: Annotated[str, Meta(min_length=1, max_length=200)] = "default"
    dimension: Positive | None = None


class EmbeddingSettings(_Section, frozen=True, kw_only=True):
    """What turns text into vectors; `local` runs a small model in this process."""

    provider: Literal["local", "openai", "none"] = "local"
    model: str = ""
    api_key: Secret = ""
    base_url: str = ""
    dimension: Positive | None = None
    batch_size: Positive = 32


class RetrievalSettings(_Section, frozen=True, kw_only=True):
    """How passages are found and chosen."""

    top_k: Positive = 5
    score_threshold: Fraction | None = 0.7
    vector_weight: Fraction = 0.7
    keyword_weight: Fraction = 0.3
    fusion: Literal["weighted", "rrf"] = "weighted"


class RAGSettings(_Section, frozen=True, kw_only=True):
    """Retrieval-augmented answers."""

    vector_store: VectorStoreSettings = VectorStoreSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    retrieval: RetrievalSettings = RetrievalSettings()


class LoggingSettings(_Section, frozen=True, kw_only=True):
    """What is logged, and in which form."""

    level: Literal["debug", "info", "warn", "error", "fatal"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class MetricsSettings(_Section, frozen=True, kw_only=True):
    """Where metrics are served."""

    enabled: bool = True
    path: Annotated[str, Meta(pattern=r"^/[A-Za-z0-9/_.-]+$")] = "/metrics"
    token: Secret = ""


class TracingSettings(_Section, frozen=True, kw_only=True):
    """Traces of each request and run, sent to an OTLP/HTTP collector."""

    enabled: bool = False
    endpoint: str = "http://127.0.0.1:4318"
    headers: Annotated[dict[str, Any], Meta(extra={"kind": SECRET})] = {}
    sample_ratio: Fraction = 1.0
    service_name: Annotated[str, Meta(min_length=1, max_length=200)] = "pyeino"
    capture_content: bool = False


class AuthSettings(_Section, frozen=True, kw_only=True):
    """Who may ask. Secrets are at least 32 bytes."""

    enabled: bool = False
    jwt_secret: Secret = ""
    previous_jwt_secrets: Secrets = ()
    token_expiry: Lifetime = 900.0
    refresh_expiry: Lifetime = 604_800.0
    issuer: Annotated[str, Meta(min_length=1, max_length=200)] = "pyeino"
    audience: Annotated[str, Meta(min_length=1, max_length=200)] = "pyeino"
    bootstrap_key: Secret = ""


class LimitsSettings(_Section, frozen=True, kw_only=True):
    """How much is taken at once."""

    max_body_bytes: Annotated[int, Meta(ge=1_024, le=1_073_741_824)] = 1_048_576
    max_requests: Positive = 512
    max_connections: Positive = 2048
    message_bytes: Positive = 262_144
    messages: Positive = 256
    context_bytes: Positive = 65_536
    history_messages: Annotated[int, Meta(ge=1, le=500)] = 40
    max_tokens: Positive = 131_072
    timeout: Duration = 300.0
    active_runs: Positive = 1024
    requests_per_minute: Positive | None = None
    burst: Positive | None = None
    tokens_per_minute: Positive | None = None


class CacheSettings(_Section, frozen=True, kw_only=True):
    """Answers kept for reuse."""

    enabled: bool = False
    ttl: Duration = 600.0
    max_entries: Positive = 10_000
    max_bytes: Positive = 67_108_864


class QueueSettings(_Section, frozen=True, kw_only=True):
    """Where background work waits."""

    url: Secret = ""


class StorageSettings(_Section, frozen=True, kw_only=True):
    """Where files are kept."""

    url: Secret = ""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, checked; `origins` says for each key where its value comes from."""

    environment: Literal["development", "test", "staging", "production"] = "development"
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    llm: LLMSettings = LLMSettings()
    rag: RAGSettings = RAGSettings()
    logging: LoggingSettings = LoggingSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    auth: AuthSettings = AuthSettings()
    limits: LimitsSettings = LimitsSettings()
    cache: CacheSettings = CacheSettings()
    queue: QueueSettings = QueueSettings()
    storage: StorageSettings = StorageSettings()
    origins: dict[str, str] = {}

    @property
    def uses_postgres(self) -> bool:
        """Whether `database.url` names a PostgreSQL server; else it is an SQLite file."""
        return self.database.url.partition("://")[0] in POSTGRES_SCHEMES

    @property
    def uses_s3(self) -> bool:
        """Whether `storage.url` names a bucket; else it is a folder."""
        return self.storage.url.startswith(S3_PREFIX)

    @property
    def storage_folder(self) -> Path:
        """The folder of `storage.url`; else one beside the SQLite file, named after it.

        Without such a file it is `pyeino-files` in the user's data folder.
        """
        if self.storage.url:
            return Path(self.storage.url.removeprefix(FILE_PREFIX)).expanduser()
        database = self.database_path
        if self.uses_postgres or database == Path(":memory:"):
            return Path(platformdirs.user_data_dir("pyeino")) / "pyeino-files"
        return database.with_name(f"{database.stem}-files")

    @property
    def database_path(self) -> Path:
        """The SQLite file: that of `database.url`, else `pyeino.db` in the user's data folder."""
        if self.database.url:
            return Path(self.database.url.removeprefix(SQLITE_PREFIX)).expanduser()
        return Path(platformdirs.user_data_dir("pyeino")) / "pyeino.db"
