"""Where a PostgreSQL database is, and what of that may be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

POSTGRES_SCHEMES: Final = ("postgres", "postgresql", "postgresql+asyncpg")
_EXAMPLE = "expected postgres://user:password@host:5432/database"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """`dsn` is what the driver is given; `shown` has no password and is safe to print."""

    dsn: str = field(repr=False)
    shown: str

    @classmethod
    def parse(cls, url: str) -> PostgresAddress:
        """The address that `url` names; ValueError, without any of its text, when it is none.

        `postgres://`, `postgresql://` and `postgresql+asyncpg://` are the same. Several hosts may
        be given with commas, a folder with a socket as `?host=/run/postgresql`; other parameters
        are sslmode, sslrootcert and such, or settings of the server (`?search_path=app`).
        """
        scheme, separator, rest = url.partition("://")
        if scheme not in POSTGRES_SCHEMES or not separator:
            raise ValueError(_EXAMPLE)
        authority = rest.partition("/")[0].partition("?")[0]
        if authority.count("@") > 1 or "@" in rest.partition("?")[0][len(authority) :]:
            raise ValueError("write @, : and / in user and password as %40, %3A and %2F")
        dsn = f"postgresql://{rest}"
        parts = urlsplit(dsn)
        query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
        if parts.fragment:
            raise ValueError("write # in user and password as %23")
        hosts = authority.rpartition("@")[2] or ",".join(query.get("host", []))
        for host in hosts.split(","):
            _check_port(host)
        user = unquote(parts.username or "") or "".join(query.get("user", []))
        name = unquote(parts.path.lstrip("/")) or "".join(query.get("dbname", []))
        if not name:
            raise ValueError(f"the name of the database is missing: {_EXAMPLE}")
        place = f"{user}@{hosts}" if user else hosts
        return cls(dsn=dsn, shown=f"postgresql://{place}/{name}")


def _check_port(host: str) -> None:
    if host.startswith("/"):
        return
    port = host.rpartition("]")[2].partition(":")[2]
    if port and not (port.isdecimal() and 0 < int(port) < 65_536):
        raise ValueError(f"the port is not a number from 1 to 65535: {_EXAMPLE}")
