"""Where a request comes from: the peer, or what a proxy that is trusted says about it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from starlette.types import Scope

from pyeino.server._asgi import header_values

UNKNOWN = "unknown"
"""The address of a peer that has none, such as a Unix socket."""

_MAX_HEADER = 4096
_MAX_HOPS = 32
_V6_PREFIX = 64

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ELEMENT = re.compile(r'(?:[^,"]|"[^"]*")+')
_FOR = re.compile(r'(?:^|;)\s*for=("[^"]*"|[^";,\s]+)', re.IGNORECASE)
_PROTO = re.compile(r'(?:^|;)\s*proto="?([a-z]+)"?', re.IGNORECASE)


class Addresses:
    """Tells the client's address and whether it came over TLS.

    `trusted` are addresses or networks of proxies. Only from those is X-Forwarded-For or
    Forwarded believed, from the right: each trusted hop vouches for the one before it, and the
    first that is not trusted is the client. What stands further left anybody may have written.
    Where both headers are there and disagree, neither is believed.
    """

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        """ValueError for text that is neither an address nor a network."""
        self._trusted: tuple[Network, ...] = tuple(
            ipaddress.ip_network(text.strip(), strict=False) for text in trusted
        )
        self._is_trusted = lru_cache(maxsize=1024)(self._look_up)

    def client(self, scope: Scope) -> str:
        """The client's address; UNKNOWN where the peer has none."""
        peer = scope.get("client")
        host: str = peer[0] if peer else UNKNOWN
        if not self._trusted or not self._is_trusted(host):
            return host
        listed = self._walk(host, _forwarded_for(scope))
        standard = self._walk(host, _forwarded(scope))
        if listed is None or standard is None:
            return listed or standard or host
        return listed if listed == standard else host

    def is_secure(self, scope: Scope) -> bool:
        """Whether the client speaks TLS: to us, or to a trusted proxy that says so."""
        if scope.get("scheme") in ("https", "wss"):
            return True
        peer = scope.get("client")
        if not self._trusted or not peer or not self._is_trusted(peer[0]):
            return False
        said = [value for line in header_values(scope, b"x-forwarded-proto")[-1:]
                for value in line.split(",")]  # fmt: skip
        if not said:
            said = [
                found[1]
                for line in header_values(scope, b"forwarded")[-1:]
                if len(line) <= _MAX_HEADER
                for part in _ELEMENT.findall(line)
                if (found := _PROTO.search(part))
            ]
        return bool(said) and said[-1].strip().lower() in ("https", "wss")

    def _walk(self, peer: str, hops: Iterator[str]) -> str | None:
        """The first hop from the right that is not trusted; None when nothing was said."""
        last = None
        for count, hop in enumerate(hops):
            address = parse_address(hop)
            if address is None or count >= _MAX_HOPS:
                return last or peer
            last = str(address)
            if not self._is_trusted(last):
                return last
        return last

    def _look_up(self, host: str) -> bool:
        address = parse_address(host)
        return address is not None and any(
            address.version == network.version and address in network for network in self._trusted
        )


def parse_address(text: str) -> Address | None:
    """The address in `text`, as in 192.0.2.1, 192.0.2.1:4711 or "[2001:db8::1]:4711"."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


@lru_cache(maxsize=4096)
def client_block(address: str) -> str:
    """What limits count by: an IPv4 address, or the /64 that one owner of IPv6 has."""
    found = parse_address(address)
    if found is None:
        return UNKNOWN
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, _V6_PREFIX), strict=False))


def _forwarded_for(scope: Scope) -> Iterator[str]:
    for line in reversed(header_values(scope, b"x-forwarded-for")):
        yield from reversed(line.split(","))


def _forwarded(scope: Scope) -> Iterator[str]:
    for line in reversed(header_values(scope, b"forwarded")):
        if len(line) > _MAX_HEADER:
            yield ""  # nobody's address: what stands left of it is not looked at
            return
        for part in reversed(_ELEMENT.findall(line)):
            found = _FOR.search(part)
            yield found[1] if found else ""
