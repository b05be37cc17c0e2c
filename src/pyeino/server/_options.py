"""ServerOptions: where the server listens, and how long and how much it bears."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Address, bounds and time limits of the server. Times are seconds, sizes bytes.

    `read_timeout` bounds the arrival of a request's head and body, `write_timeout` one write to
    the client (a stream may last longer), `idle_timeout` a quiet connection between requests.
    `drain_delay` is how long the listener stays open after SIGTERM (None: 5, and 0 on loopback);
    `drain_timeout` how long running work may take to end after that. `allowed_hosts` are Host
    names taken besides loopback's and the server's own address ("*" takes any);
    `allowed_origins` are Origins, as in https://chat.example, that may write besides the
    server's own. `socket_requests` is how many requests one WebSocket may have under way.
    `metrics_path` None turns the metrics route off; with a `metrics_token` it asks for it.

    `trusted_proxies` are addresses or networks whose word about the client is taken.
    `cors_origins` are Origins whose pages may read answers and write ("*": all). A client may ask
    `requests_per_minute` times a minute, `burst` of them at once (None: a sixth), and spend
    `tokens_per_minute`, of which `default_max_tokens` are set aside for a request that does not
    say how long its answer may be; None switches a limit off.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    read_timeout: float = 30.0
    write_timeout: float = 30.0
    idle_timeout: float = 120.0
    heartbeat: float = 10.0
    probe_timeout: float = 2.0
    drain_delay: float | None = None
    drain_timeout: float = 30.0
    max_body_bytes: int = 1024 * 1024
    max_header_bytes: int = 64 * 1024
    max_requests: int = 512
    max_connections: int = 2048
    socket_requests: int = 8
    metrics_path: str | None = "/metrics"
    metrics_token: str = field(default="", repr=False)
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    burst: int | None = None
    tokens_per_minute: int | None = None
    default_max_tokens: int = 4096

    @property
    def loopback(self) -> bool:
        """True when only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def effective_drain_delay(self) -> float:
        """`drain_delay`, or its default for this address."""
        if self.drain_delay is not None:
            return self.drain_delay
        return 0.0 if self.loopback else 5.0
