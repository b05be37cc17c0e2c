"""Authenticator: keys, tokens, their rotation and revocation, over real stores."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from pyeino.errors import AppError, ExternalError, UnauthorizedError, ValidationError
from pyeino.integrations.memory import MemoryDatabase
from pyeino.integrations.sql import SqliteDatabase
from pyeino.monitoring import StructuredLogger
from pyeino.security import (
    SCOPES,
    AuthService,
    Principal,
    new_api_key,
    new_secret,
    scopes_of,
)
from pyeino.service import Authenticator, CreatedApiKey, create_api_key
from pyeino.stores import ApiKeyRepository, TokenRepository

SECRET = new_secret()
_VALIDATE = AuthService.validate_token
BOOTSTRAP = "bootstrap-key-of-the-tests-0123456789"


class Clock:
    """Seconds since 1970 that a test moves on."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).timestamp()

    def __call__(self) -> float:
        return self.now


class CountingKeys:
    """The API keys of a real store; counts how often they are looked up."""

    def __init__(self, inner: ApiKeyRepository) -> None:
        self.inner = inner
        self.looks = 0
        self.touched: list[dict[str, datetime]] = []
        self.broken = False
        self.failed, self.written = asyncio.Event(), asyncio.Event()
        self.add, self.list, self.revoke = inner.add, inner.list, inner.revoke

    async def find_by_prefix(self, prefix: str) -> object:
        self.looks += 1
        return await self.inner.find_by_prefix(prefix)

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        if self.broken:
            self.failed.set()
            raise ExternalError("DATABASE_UNREACHABLE", "gone")
        self.touched.append(dict(uses))
        await self.inner.touch(uses)
        self.written.set()


class SweptTokens:
    """The token families of a real store; says when they have been swept."""

    def __init__(self, inner: TokenRepository) -> None:
        self.begin, self.rotate, self.revoke = inner.begin, inner.rotate, inner.revoke
        self.is_revoked = inner.is_revoked
        self.inner = inner
        self.swept = asyncio.Event()

    async def sweep(self, *, before: datetime) -> int:
        count = await self.inner.sweep(before=before)
        self.swept.set()
        return count


class World:
    """An authenticator with its stores and its clock; `also` is one of another process."""

    def __init__(self, *, scope: object = None, **options: object) -> None:
        self.clock = Clock()
        found = scope or MemoryDatabase().scope()
        self.keys = CountingKeys(found.api_keys)  # type: ignore[attr-defined]
        self.tokens = SweptTokens(found.tokens)  # type: ignore[attr-defined]
        self.options = options
        self.one = self.make()

    def make(self, **options: object) -> Authenticator:
        return Authenticator(
            AuthService(SECRET, clock=self.clock),
            self.keys,  # type: ignore[arg-type]
            self.tokens,
            **{"clock": self.clock, **self.options, **options},  # type: ignore[arg-type]
        )

    async def key(self, **options: object) -> CreatedApiKey:
        return await create_api_key(
            self.keys,  # type: ignore[arg-type]
            **{"user_id": "ann", **options},  # type: ignore[arg-type]
        )


async def _refused(call: object, code: str, *, status: int = 401) -> AppError:
    with pytest.raises(UnauthorizedError) as caught:
        await call  # type: ignore[misc]
    assert (caught.value.code, caught.value.http_status) == (code, status)
    return caught.value


async def test_s26_a_key_stands_for_its_user_by_both_headers() -> None:
    world = World()
    key = await world.key(roles=["user", "metrics"])
    expected = Principal(
        user_id="ann",
        roles=frozenset({"user", "metrics"}),
        scopes=scopes_of(["user", "metrics"]),
        kind="api_key",
        client_id=key.record.prefix,
    )
    assert await world.one.authenticate(api_key=key.plain) == expected
    assert await world.one.authenticate(bearer=key.plain) == expected
    assert key.plain not in repr(key)


async def test_s26_the_guides_words_for_a_missing_and_a_wrong_key() -> None:
    world = World()
    for nothing in (None, ""):
        error = await _refused(
            world.one.authenticate(bearer=nothing, api_key=nothing), "API_KEY_REQUIRED"
        )
        assert error.message == "API key required"
    key = await world.key()
    almost = key.plain[:-1] + ("a" if key.plain[-1] != "a" else "b")
    for wrong in (almost, new_api_key().plain, "pyk_", "x", "ключ", "pyk_a_b", "\ud800"):
        error = await _refused(world.one.authenticate(api_key=wrong), "INVALID_API_KEY")
        assert error.to_dict() == {
            "type": "unauthorized",
            "code": "INVALID_API_KEY",
            "message": "Invalid API key",
        }
    await _refused(world.one.authenticate(bearer=almost), "INVALID_API_KEY")
    await _refused(world.one.authenticate(bearer="no token at all"), "INVALID_TOKEN")


async def test_g126_a_wrong_key_is_refused_while_the_right_one_is_remembered() -> None:
    world = World()
    key = await world.key()
    await world.one.authenticate(api_key=key.plain)
    for _ in range(3):
        wrong = key.plain[:-5] + "xxxxx"
        await _refused(world.one.authenticate(api_key=wrong), "INVALID_API_KEY")


async def test_g126_a_key_has_scopes_of_its_own() -> None:
    """The guide's keys are good for everything."""
    world = World()
    key = await world.key(scopes=["chat"])
    assert (await world.one.authenticate(api_key=key.plain)).scopes == {"chat"}
    none = await world.key(scopes=[])
    assert (await world.one.authenticate(api_key=none.plain)).scopes == frozenset()


async def test_g126_a_key_expires_even_while_it_is_remembered() -> None:
    """The guide's keys are good for ever."""
    world = World(cache_ttl=3600.0)
    key = await world.key(expires_in=timedelta(minutes=1))
    await world.one.authenticate(api_key=key.plain)
    world.clock.now += 61
    await _refused(world.one.authenticate(api_key=key.plain), "INVALID_API_KEY")


async def test_g126_a_revoked_key_is_refused_here_at_once_and_elsewhere_soon() -> None:
    world = World(cache_ttl=10.0)
    here, elsewhere = world.one, world.make()
    key = await world.key()
    for one in (here, elsewhere):
        await one.authenticate(api_key=key.plain)
    assert await here.revoke_key(key.record.prefix)
    assert not await here.revoke_key(key.record.prefix)
    await _refused(here.authenticate(api_key=key.plain), "INVALID_API_KEY")
    assert await elsewhere.authenticate(api_key=key.plain)  # the latency that is promised
    world.clock.now += 10
    await _refused(elsewhere.authenticate(api_key=key.plain), "INVALID_API_KEY")
    with pytest.raises(AppError, match="API_KEY_NOT_FOUND"):
        await here.revoke_key("nosuchprefix")


async def test_most_requests_ask_no_database() -> None:
    world = World(cache_ttl=10.0)
    key = await world.key()
    for _ in range(100):
        await world.one.authenticate(api_key=key.plain)
    assert world.keys.looks == 1
    world.clock.now += 10
    await world.one.authenticate(api_key=key.plain)
    assert world.keys.looks == 2
    world.clock.now -= 5  # a clock that is set back makes nothing young again
    await world.one.authenticate(api_key=key.plain)
    assert world.keys.looks == 3


async def test_a_token_is_checked_once_and_expires_all_the_same() -> None:
    world = World(cache_ttl=3600.0)
    token = AuthService(SECRET, timedelta(seconds=60), clock=world.clock).generate_token("b", [])
    with mock.patch.object(AuthService, "validate_token", autospec=True) as check:
        check.side_effect = _VALIDATE
        for _ in range(20):
            assert (await world.one.authenticate(bearer=token)).user_id == "b"
        assert check.call_count == 1
        world.clock.now += 66
        await _refused(world.one.authenticate(bearer=token), "TOKEN_EXPIRED")
        await _refused(world.one.authenticate(bearer=f"{token}x"), "INVALID_TOKEN")


async def test_what_is_remembered_has_a_bound() -> None:
    from pyeino.service._recent import Recent

    recent: Recent[int] = Recent(ttl=10, most=3, clock=lambda: 0.0)
    for number in range(5):
        recent.put(f"{number}", number)
        recent.get("2")
    assert len(recent) == 3
    assert [recent.get(f"{number}") for number in range(5)] == [None, None, 2, 3, 4]


async def test_g126_last_use_is_written_off_the_path_and_at_most_once_an_interval() -> None:
    world = World()
    key = await world.key()
    prefix = key.record.prefix
    for _ in range(50):
        world.clock.now += 0.1
        await world.one.authenticate(api_key=key.plain)
    assert world.keys.touched == []
    world.keys.broken = True
    with pytest.raises(ExternalError):
        await world.one.flush()
    world.keys.broken = False
    await world.one.flush()
    await world.one.flush()
    assert len(world.keys.touched) == 1  # what could not be written was kept
    found = await world.keys.inner.find_by_prefix(prefix)
    assert found is not None
    assert found.last_used_at == datetime.fromtimestamp(world.clock.now, UTC)


async def test_its_task_writes_uses_sweeps_families_and_ends(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "p.db") as database:
        world = World(scope=database.scope(), flush_interval=0.01)
        past = datetime.now(UTC) - timedelta(days=1)
        await world.tokens.revoke("old", at=past, expires_at=past)
        key = await world.key()
        async with world.one as one:
            await one.authenticate(api_key=key.plain)
            async with asyncio.timeout(30):
                await world.keys.written.wait()
                await world.tokens.swept.wait()
            assert not await world.tokens.is_revoked("old")
            await one.authenticate(api_key=key.plain)
        found = await world.keys.inner.find_by_prefix(key.record.prefix)
        assert found is not None
        assert found.last_used_at is not None


async def test_a_database_that_is_away_ends_neither_task_nor_close() -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink=sink)
    world = World(flush_interval=0.01, logger=logger)
    key = await world.key()
    world.keys.broken = True
    async with world.one as one:
        await one.authenticate(api_key=key.plain)
        async with asyncio.timeout(30):
            await world.keys.failed.wait()
            world.keys.broken = False
            await world.keys.written.wait()
        world.keys.broken = True
        await one.authenticate(api_key=key.plain)
    await asyncio.to_thread(logger.close)
    assert "could not be kept in order" in sink.getvalue()
    assert "could not be written" in sink.getvalue()


async def test_s25_a_key_gets_a_pair_and_the_pair_stands_for_its_user() -> None:
    world = World()
    key = await world.key(scopes=["chat", "sessions"])
    holder = await world.one.authenticate(api_key=key.plain)
    pair = await world.one.issue(holder)
    who = await world.one.authenticate(bearer=pair.access_token)
    assert (who.user_id, who.kind, who.client_id) == ("ann", "token", pair.family)
    assert (who.roles, who.scopes) == (holder.roles, holder.scopes)
    await _refused(world.one.authenticate(bearer=pair.refresh_token), "INVALID_TOKEN")
    await _refused(world.one.issue(who), "API_KEY_REQUIRED")


async def test_tokens_for_another_user_need_the_scope_and_never_more_than_a_user_has() -> None:
    world = World(bootstrap_key=BOOTSTRAP)
    simple = await world.one.authenticate(api_key=(await world.key()).plain)
    await _refused(world.one.issue(simple, user_id="bob"), "USER_NOT_ALLOWED", status=403)
    assert (await world.one.issue(simple, user_id="ann")).access_token
    admin = await world.one.authenticate(api_key=BOOTSTRAP)
    pair = await world.one.issue(admin, user_id="bob")
    who = await world.one.authenticate(bearer=pair.access_token)
    assert (who.user_id, who.roles) == ("bob", {"user"})
    assert who.scopes == scopes_of(["user"])
    narrow = await world.key(roles=["admin"], scopes=["act_for_others", "chat"])
    holder = await world.one.authenticate(api_key=narrow.plain)
    pair = await world.one.issue(holder, user_id="bob")
    assert (await world.one.authenticate(bearer=pair.access_token)).scopes == {"chat"}


async def test_g122_a_pair_is_renewed_again_and_again() -> None:
    world = World()
    key = await world.key(scopes=["chat"])
    pair = await world.one.issue(await world.one.authenticate(api_key=key.plain))
    for _ in range(3):
        world.clock.now += 3600
        await _refused(world.one.authenticate(bearer=pair.access_token), "TOKEN_EXPIRED")
        pair = await world.one.refresh(pair.refresh_token)
        who = await world.one.authenticate(bearer=pair.access_token)
        assert (who.user_id, who.scopes) == ("ann", {"chat"})
    world.clock.now += 8 * 86_400
    await _refused(world.one.refresh(pair.refresh_token), "TOKEN_EXPIRED")
    await _refused(world.one.refresh(pair.access_token), "INVALID_TOKEN")


async def test_g122_a_refresh_token_used_twice_revokes_the_family() -> None:
    sink = io.StringIO()
    logger = StructuredLogger(sink=sink)
    world = World(logger=logger)
    holder = await world.one.authenticate(api_key=(await world.key()).plain)
    first, other = await world.one.issue(holder), await world.one.issue(holder)
    second = await world.one.refresh(first.refresh_token)
    assert await world.one.authenticate(bearer=second.access_token)
    await _refused(world.one.refresh(first.refresh_token), "TOKEN_REVOKED")
    for token in (first.access_token, second.access_token):
        await _refused(world.one.authenticate(bearer=token), "TOKEN_REVOKED")
    await _refused(world.one.refresh(second.refresh_token), "TOKEN_REVOKED")
    assert await world.one.authenticate(bearer=other.access_token)
    await asyncio.to_thread(logger.close)
    assert "used twice" in sink.getvalue()
    assert first.refresh_token not in sink.getvalue()


async def test_g122_of_many_refreshes_at_once_exactly_one_wins(tmp_path: Path) -> None:
    async with await SqliteDatabase.open(tmp_path / "p.db") as database:
        world = World(scope=database.scope())
        servers = [world.make() for _ in range(4)]
        holder = await world.one.authenticate(api_key=(await world.key()).plain)
        pair = await world.one.issue(holder)
        results = await asyncio.gather(
            *(one.refresh(pair.refresh_token) for one in servers for _ in range(2)),
            return_exceptions=True,
        )
        errors = [one for one in results if isinstance(one, UnauthorizedError)]
        assert len(results) - len(errors) == 1
        assert {error.code for error in errors} == {"TOKEN_REVOKED"}


@pytest.mark.parametrize("shown", ["access_token", "refresh_token"])
async def test_g122_signing_out_ends_every_token_of_the_family(shown: str) -> None:
    world = World()
    holder = await world.one.authenticate(api_key=(await world.key()).plain)
    pair, other = await world.one.issue(holder), await world.one.issue(holder)
    await world.one.authenticate(bearer=pair.access_token)  # remembered as good
    await world.one.revoke(getattr(pair, shown))
    await world.one.revoke(getattr(pair, shown))
    await _refused(world.one.authenticate(bearer=pair.access_token), "TOKEN_REVOKED")
    await _refused(world.one.refresh(pair.refresh_token), "TOKEN_REVOKED")
    assert await world.one.authenticate(bearer=other.access_token)
    await _refused(world.one.revoke("nonsense"), "INVALID_TOKEN")


async def test_g122_a_token_made_elsewhere_with_our_secret_can_be_revoked() -> None:
    world = World()
    token = AuthService(SECRET, clock=world.clock).generate_token("bob", ["user"])
    assert (await world.one.authenticate(bearer=token)).user_id == "bob"
    await world.one.revoke(token)
    await _refused(world.one.authenticate(bearer=token), "TOKEN_REVOKED")


async def test_revocation_elsewhere_is_seen_after_the_promised_time() -> None:
    world = World(cache_ttl=10.0)
    here, elsewhere = world.one, world.make()
    holder = await here.authenticate(api_key=(await world.key()).plain)
    pair = await here.issue(holder)
    await elsewhere.authenticate(bearer=pair.access_token)
    await here.revoke(pair.access_token)
    assert await elsewhere.authenticate(bearer=pair.access_token)
    world.clock.now += 10
    await _refused(elsewhere.authenticate(bearer=pair.access_token), "TOKEN_REVOKED")


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_tokens_of_a_key_that_is_gone_are_not_renewed(end: str) -> None:
    world = World()
    key = await world.key(expires_in=timedelta(hours=1))
    pair = await world.one.issue(await world.one.authenticate(api_key=key.plain))
    if end == "revoked":
        await world.one.revoke_key(key.record.prefix)
    else:
        world.clock.now += 3601
    await _refused(world.one.refresh(pair.refresh_token), "TOKEN_REVOKED")
    assert await world.tokens.is_revoked(pair.family)


async def test_the_bootstrap_key_has_every_scope_until_it_is_taken_out() -> None:
    world = World(bootstrap_key=BOOTSTRAP)
    for who in (
        await world.one.authenticate(api_key=BOOTSTRAP),
        await world.one.authenticate(bearer=BOOTSTRAP),
    ):
        assert (who.kind, who.client_id, who.scopes) == ("api_key", "bootstrap", SCOPES)
    await _refused(world.one.authenticate(api_key=BOOTSTRAP[:-1]), "INVALID_API_KEY")
    pair = await world.one.issue(who)
    without = world.make(bootstrap_key=None)
    await _refused(without.authenticate(api_key=BOOTSTRAP), "INVALID_API_KEY")
    await _refused(without.refresh(pair.refresh_token), "TOKEN_REVOKED")
    with pytest.raises(ValueError, match="32"):
        world.make(bootstrap_key="short")


async def test_tokens_of_another_tenant_are_none() -> None:
    world = World()
    holder = await world.one.authenticate(api_key=(await world.key()).plain)
    pair = await world.one.issue(holder)
    other = world.make(tenant="other")
    for call in (other.authenticate(bearer=pair.access_token), other.refresh(pair.refresh_token)):
        await _refused(call, "INVALID_TOKEN")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"roles": ["king"]}, "UNKNOWN_ROLE"),
        ({"scopes": ["rule"]}, "UNKNOWN_SCOPE"),
        ({"user_id": ""}, "INVALID_REQUEST"),
        ({"expires_in": timedelta(0)}, "INVALID_REQUEST"),
        ({"expires_in": timedelta(days=40_000)}, "INVALID_REQUEST"),
    ],
)
async def test_a_key_that_says_nothing_sensible_is_not_made(
    options: dict[str, object], code: str
) -> None:
    world = World()
    with pytest.raises(ValidationError) as caught:
        await world.key(**options)
    assert caught.value.code == code
    assert (await world.keys.list()).items == ()


class SlowStore:
    """Gives what a store has said only when it is told to go on, as a store far away does."""

    def __init__(self, ask: object) -> None:
        self.ask = ask
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, name: str) -> object:
        found = await self.ask(name)  # type: ignore[operator]
        self.asked.set()
        await self.go_on.wait()
        return found


async def test_what_is_revoked_while_it_is_looked_up_is_not_believed_afterwards() -> None:
    """The store's answer may be older than the revocation: it must not be kept for `cache_ttl`."""
    world = World(cache_ttl=3600.0)
    pair = await world.one.issue(await world.one.authenticate(api_key=(await world.key()).plain))
    slow = SlowStore(world.tokens.is_revoked)
    world.tokens.is_revoked = slow  # type: ignore[method-assign, assignment]
    early = asyncio.create_task(world.one.authenticate(bearer=pair.access_token))
    await slow.asked.wait()
    await world.one.revoke(pair.access_token)
    slow.go_on.set()
    await early  # it came before the revocation did
    await _refused(world.one.authenticate(bearer=pair.access_token), "TOKEN_REVOKED")


async def test_a_key_revoked_while_it_is_looked_up_is_not_believed_afterwards() -> None:
    world = World(cache_ttl=3600.0)
    key = await world.key()
    slow = SlowStore(world.keys.find_by_prefix)
    world.keys.find_by_prefix = slow  # type: ignore[method-assign, assignment]
    early = asyncio.create_task(world.one.authenticate(api_key=key.plain))
    await slow.asked.wait()
    await world.one.revoke_key(key.record.prefix)
    slow.go_on.set()
    await early
    await _refused(world.one.authenticate(api_key=key.plain), "INVALID_API_KEY")


async def test_another_bootstrap_key_ends_the_tokens_of_the_one_before() -> None:
    world = World(bootstrap_key=BOOTSTRAP)
    pair = await world.one.issue(await world.one.authenticate(api_key=BOOTSTRAP))
    pair = await world.one.refresh(pair.refresh_token)
    changed = world.make(bootstrap_key="another-" + BOOTSTRAP)
    await _refused(changed.refresh(pair.refresh_token), "TOKEN_REVOKED")


@pytest.mark.parametrize("user_id", ["", " ", "a\x00b", "a\nb", "x" * 129])
async def test_tokens_and_keys_are_for_users_that_can_be(user_id: str) -> None:
    world = World(bootstrap_key=BOOTSTRAP)
    admin = await world.one.authenticate(api_key=BOOTSTRAP)
    for call in (world.one.issue(admin, user_id=user_id), world.key(user_id=user_id)):
        with pytest.raises(ValidationError, match="user_id") as caught:
            await call
        assert caught.value.http_status == 400


async def test_a_revoked_token_asks_the_store_once_however_often_it_is_shown() -> None:
    """It is nobody's guess and nobody's budget: without this it would be a free query each."""
    world = World(cache_ttl=10.0)
    pair = await world.one.issue(await world.one.authenticate(api_key=(await world.key()).plain))
    await world.make().revoke(pair.access_token)
    looks, ask = 0, world.tokens.is_revoked

    async def counted(family: str) -> bool:
        nonlocal looks
        looks += 1
        return await ask(family)

    world.tokens.is_revoked = counted  # type: ignore[method-assign, assignment]
    for _ in range(5):
        await _refused(world.one.authenticate(bearer=pair.access_token), "TOKEN_REVOKED")
    assert looks == 1
    world.clock.now += 11
    await _refused(world.one.authenticate(bearer=pair.access_token), "TOKEN_REVOKED")
    assert looks == 2
