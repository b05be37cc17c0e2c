"""Doorkeeper: the one place that decides who a request acts for and whether it may come in."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Final

from starlette.types import Scope

from pyeino.errors import AppError, RateLimitError, UnauthorizedError
from pyeino.security import Principal, local_principal
from pyeino.server._addresses import Addresses, client_block
from pyeino.server._asgi import header
from pyeino.server._caller import PUBLIC, SELF, Caller, Credentials
from pyeino.server._quota import Quotas
from pyeino.service import Authenticator

BEARER_PROTOCOL: Final = "bearer."
"""A WebSocket's subprotocol that carries a token: browsers can send no header there."""

_GUESSES = frozenset({"INVALID_API_KEY", "INVALID_TOKEN"})
_LOCAL = local_principal()
_SCRAPER = Principal(
    user_id="metrics",
    roles=frozenset({"metrics"}),
    scopes=frozenset({"metrics"}),
    kind="api_key",
    client_id="metrics.token",
)


class FailedSignIns:
    """Counts wrong keys and tokens by address, in this process; ones that are used up wait.

    An address may fail `burst` times at once and `per_minute` times a minute after that. At most
    `most` addresses are remembered. Asking costs one lookup.
    """

    def __init__(
        self,
        *,
        per_minute: int = 30,
        burst: int = 30,
        most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = per_minute / 60
        self._burst = float(burst)
        self._most = most
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._trying: dict[str, int] = {}

    def check(self, address: str) -> None:
        """Raise RateLimitError TOO_MANY_FAILED_SIGN_INS (429) for an address that has to wait."""
        if address not in self._left:
            return
        # What is being tried counts as if it failed, else many guesses at once would be one.
        left = self._now_left(address) - self._trying.get(address, 0)
        if left < 1:
            raise RateLimitError(
                "TOO_MANY_FAILED_SIGN_INS",
                "Rate limit exceeded",
                details="Too many wrong keys or tokens came from this address; wait.",
                metadata={"retry_after": round(min(1 - left, self._burst) / self._rate, 3)},
            )

    @contextmanager
    def attempt(self, address: str) -> Generator[None]:
        """`check`, and count an attempt of `address` for as long as the `with`."""
        self.check(address)
        self._trying[address] = self._trying.get(address, 0) + 1
        try:
            yield
        finally:
            self._trying[address] -= 1
            if not self._trying[address]:
                del self._trying[address]

    def note(self, address: str) -> None:
        """Count one more failure of `address`."""
        left = self._now_left(address) - 1
        self._left[address] = (max(0.0, left), self._clock())
        self._left.move_to_end(address)
        if len(self._left) > self._most:
            self._left.popitem(last=False)

    def _now_left(self, address: str) -> float:
        found = self._left.get(address)
        if found is None:
            return self._burst
        left = found[0] + (self._clock() - found[1]) * self._rate
        if left >= self._burst:
            del self._left[address]
            return self._burst
        return left


class Doorkeeper:
    """Knows which paths are open, who may come in elsewhere, and counts what they ask.

    Without an `authenticator` everybody is the one local user. `open_paths` maps the paths that
    need no credentials to their scope; `open_folders` are such paths up to their last slash.
    """

    def __init__(
        self,
        authenticator: Authenticator | None,
        *,
        addresses: Addresses,
        quotas: Quotas | None = None,
        failures: FailedSignIns | None = None,
        metrics_path: str | None = None,
        metrics_token: str = "",
    ) -> None:
        self.authenticator = authenticator
        self.addresses = addresses
        self.quotas = quotas
        self._failures = failures or FailedSignIns()
        self._metrics_path = metrics_path
        self._metrics_token = metrics_token.encode()
        self._open_paths: dict[str, str] = {}
        self._open_folders: tuple[str, ...] = ()

    def open(self, paths: dict[str, str], folders: Sequence[str]) -> None:
        """Let everybody ask for these paths, and for what lies directly in these folders."""
        self._open_paths = paths
        self._open_folders = tuple(folders)

    def scope_of(self, path: str) -> str | None:
        """PUBLIC or SELF for an open path; None for any other, known or not."""
        found = self._open_paths.get(path)
        if found is None and self._open_folders and path.startswith(self._open_folders):
            return PUBLIC
        return found

    async def identify(self, scope: Scope, path: str) -> Caller | None:
        """The caller of a request for `path`; None on a public one.

        The request is not counted yet: that is its `budget`'s to do. Raises UnauthorizedError
        (401) for missing or bad credentials, RateLimitError (429) for too many bad ones.
        """
        opened = self.scope_of(path)
        if opened == PUBLIC:
            return None
        address = self.addresses.client(scope)
        if path == self._metrics_path:
            return await self._identify_scraper(scope, address)
        if opened == SELF or self.authenticator is None:
            principal = _LOCAL if self.authenticator is None else None
            return self._by_address(Caller(address=address, principal=principal))
        return await self._by_credentials(self.authenticator, address, credentials_of(scope))

    async def identify_again(self, caller: Caller) -> Caller:
        """`caller` anew, for the next request of its socket: its token may have ended."""
        if caller.credentials is None or self.authenticator is None:
            again = Caller(address=caller.address, principal=caller.principal)
            return self._by_address(again)
        return await self._by_credentials(self.authenticator, caller.address, caller.credentials)

    def note_failure(self, address: str, error: AppError) -> None:
        """Count `error` when it shows that somebody is guessing."""
        if error.code in _GUESSES:
            self._failures.note(client_block(address))

    def check_failures(self, address: str) -> None:
        """Raise TOO_MANY_FAILED_SIGN_INS (429) for an address that has guessed too often."""
        self._failures.check(client_block(address))

    def _by_address(self, caller: Caller) -> Caller:
        if self.quotas is not None:
            caller.budget = self.quotas.budget(f"address:{client_block(caller.address)}")
        return caller

    async def _by_credentials(
        self, authenticator: Authenticator, address: str, shown: Credentials
    ) -> Caller:
        principal = await self._authenticate(authenticator, shown, address)
        caller = Caller(address=address, principal=principal, credentials=shown)
        if self.quotas is not None:
            # By the user and not by the credentials: whoever has a key can get more tokens.
            caller.budget = self.quotas.budget(f"user:{principal.tenant}:{principal.user_id}")
        return caller

    async def _authenticate(
        self, authenticator: Authenticator, shown: Credentials, address: str
    ) -> Principal:
        if shown.bearer is None and shown.api_key is None:
            raise UnauthorizedError("API_KEY_REQUIRED", "API key required")
        with self._failures.attempt(client_block(address)):
            try:
                return await authenticator.authenticate(bearer=shown.bearer, api_key=shown.api_key)
            except UnauthorizedError as error:
                self.note_failure(address, error)
                raise

    async def _identify_scraper(self, scope: Scope, address: str) -> Caller:
        """Metrics ask for their own token, or for credentials with the scope; never counted."""
        token, shown = self._metrics_token, credentials_of(scope)
        if not token and self.authenticator is None:
            return Caller(address=address, principal=_LOCAL)
        if token and shown.bearer is not None:
            self.check_failures(address)
            if hmac.compare_digest(shown.bearer.encode("utf-8", "replace"), token):
                return Caller(address=address, principal=_SCRAPER)
        if self.authenticator is None:
            if shown.bearer is None:
                raise UnauthorizedError("API_KEY_REQUIRED", "API key required")
            wrong = UnauthorizedError("INVALID_TOKEN", "Invalid token")
            self.note_failure(address, wrong)
            raise wrong
        principal = await self._authenticate(self.authenticator, shown, address)
        return Caller(address=address, principal=principal)


def credentials_of(scope: Scope) -> Credentials:
    """What the request shows: X-API-Key, `Authorization: Bearer`, or a WebSocket's subprotocol."""
    shown = Credentials(api_key=header(scope, b"x-api-key") or None)
    authorization = header(scope, b"authorization")
    if authorization is not None:
        kind, _, value = authorization.partition(" ")
        if kind.lower() == "bearer":
            shown.bearer = value.strip() or None
    elif scope["type"] == "websocket":
        for name in scope.get("subprotocols") or ():
            if name.startswith(BEARER_PROTOCOL):
                shown.bearer = name[len(BEARER_PROTOCOL) :] or None
                break
    return shown
