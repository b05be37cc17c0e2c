"""Tokens: what the guide lets pass and this does not."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyeino.errors import UnauthorizedError, ValidationError
from pyeino.security import ROLE_SCOPES, SCOPES, AuthService, Claims, local_principal, scopes_of

SECRET = "a secret of the tests that is long enough"
OTHER = "another secret of the tests, long enough"


def _claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {
        "user_id": "ann",
        "roles": ["user"],
        "exp": now + 900,
        "iat": now,
        "iss": "pyeino",
        "aud": "pyeino",
        "jti": "one",
        "kind": "access",
    }
    return {name: value for name, value in (whole | changed).items() if value is not None}


def _forged(
    claims: dict[str, Any] | None = None,
    *,
    secret: str = SECRET,
    algorithm: str = "HS256",
    kid: str | None = None,
) -> str:
    """A token by our secret, as whoever shares it may make one; with our own key id by default."""
    if kid is None:
        kid = jwt.get_unverified_header(AuthService(SECRET).generate_token("ann", ["user"]))["kid"]
    return jwt.encode(claims or _claims(), secret, algorithm, headers={"kid": kid})


def _refused(token: str, *, auth: AuthService | None = None, code: str = "INVALID_TOKEN") -> str:
    with pytest.raises(UnauthorizedError) as caught:
        (auth or AuthService(SECRET)).validate_token(token)
    assert caught.value.code == code
    assert caught.value.http_status == 401
    assert "cause" not in str(caught.value.to_dict())
    return str(caught.value.cause)


def test_s25_what_was_signed_is_what_is_read() -> None:
    auth = AuthService(SECRET, timedelta(minutes=1))
    found = auth.validate_token(auth.generate_token("ann", ["user", "metrics"]))
    assert isinstance(found, Claims)
    assert (found.user_id, found.roles) == ("ann", ("user", "metrics"))
    assert (found.iss, found.aud, found.kind) == ("pyeino", "pyeino", "access")
    assert found.exp - found.iat == 60
    assert found.jti
    assert found.scopes == ROLE_SCOPES["user"] | {"metrics"}


def test_the_token_is_a_plain_jwt_that_others_can_read() -> None:
    token = AuthService(SECRET).generate_token("ann", ["user"])
    read = jwt.decode(token, SECRET, algorithms=["HS256"], audience="pyeino", issuer="pyeino")
    assert read["user_id"] == "ann"
    assert _forged() != token
    assert AuthService(SECRET).validate_token(_forged()).user_id == "ann"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "none"])
@pytest.mark.filterwarnings("ignore")
def test_g120_only_hs256_passes(algorithm: str) -> None:
    """The guide takes any HMAC."""
    token = _forged(secret="" if algorithm == "none" else SECRET, algorithm=algorithm)
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert "alg" in _refused(token)


@pytest.mark.parametrize("name", ["exp", "iat", "iss", "aud", "jti", "kind", "user_id", "roles"])
def test_g120_every_claim_is_required(name: str) -> None:
    """In the guide a token without exp is good for ever."""
    _refused(_forged(_claims(**{name: None})))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "elsewhere"},
        {"aud": "elsewhere"},
        {"aud": ["pyeino", "elsewhere"]},
        {"kind": "other"},
        {"kind": "refresh"},
        {"roles": "admin"},
        {"roles": [1]},
        {"user_id": 7},
        {"exp": "2999-01-01"},
        {"exp": 1e300},
        {"iat": int(time.time()) + 3600},
        {"scopes": "chat"},
    ],
)
def test_g120_a_claim_that_does_not_fit_is_refused(changed: dict[str, Any]) -> None:
    _refused(_forged(_claims(**changed)))


def test_g120_a_refresh_token_opens_nothing_and_an_access_token_refreshes_nothing() -> None:
    auth = AuthService(SECRET)
    pair = auth.generate_pair("ann", ["user"])
    _refused(pair.refresh_token, auth=auth)
    with pytest.raises(UnauthorizedError, match="INVALID_TOKEN"):
        auth.validate_token(pair.access_token, kind="refresh")
    assert auth.validate_token(pair.refresh_token, kind="refresh").jti == pair.refresh_jti


@pytest.mark.parametrize("secret", ["", "x", "x" * 31, "é" * 15])
def test_g121_a_short_secret_is_refused_with_the_remedy(secret: str) -> None:
    """The guide signs with an empty one."""
    for make in (
        lambda: AuthService(secret),
        lambda: AuthService(SECRET, previous_secrets=[secret]),
    ):
        with pytest.raises(ValidationError) as caught:
            make()
        assert caught.value.code == "WEAK_SECRET"
        assert "pyeino keys secret" in (caught.value.details or "")


def test_g121_thirty_two_bytes_are_enough() -> None:
    AuthService("x" * 32)
    AuthService("é" * 16)


def test_g122_a_pair_is_one_family_with_two_times() -> None:
    """The guide's refresh expiry is never used."""
    auth = AuthService(SECRET, timedelta(minutes=15), timedelta(days=7))
    pair = auth.generate_pair("ann", ["user"], scopes={"chat"}, key_id="k")
    access = auth.validate_token(pair.access_token)
    refresh = auth.validate_token(pair.refresh_token, kind="refresh")
    assert access.family == refresh.family == pair.family
    assert access.jti != refresh.jti
    assert (pair.expires_in, pair.refresh_expires_in) == (900, 604_800)
    assert (access.exp - access.iat, refresh.exp - refresh.iat) == (900, 604_800)
    assert access.scopes == refresh.scopes == {"chat"}
    assert access.key_id == refresh.key_id == "k"
    assert auth.generate_pair("ann", ["user"]).family != pair.family
    assert pair.access_token not in repr(pair)
    assert pair.refresh_token not in repr(pair)


@pytest.mark.parametrize(
    ("token", "refresh"),
    [
        (timedelta(0), timedelta(days=7)),
        (timedelta(seconds=-1), timedelta(days=7)),
        (timedelta(days=8), timedelta(days=7)),
    ],
)
def test_times_that_make_no_sense_are_refused(token: timedelta, refresh: timedelta) -> None:
    with pytest.raises(ValidationError, match="INVALID_EXPIRY"):
        AuthService(SECRET, token, refresh)


def test_a_token_expires_after_its_time_and_the_leeway() -> None:
    now = 1_000_000.0
    auth = AuthService(SECRET, timedelta(seconds=60), clock=lambda: now)
    token = auth.generate_token("ann", ["user"])
    for later, good in ((-4.9, True), (0, True), (64.9, True), (65.1, False), (1e6, False)):
        at = AuthService(SECRET, clock=lambda later=later: now + later)
        if good:
            assert at.validate_token(token).user_id == "ann"
        else:
            _refused(token, auth=at, code="TOKEN_EXPIRED")
    assert "future" in _refused(token, auth=AuthService(SECRET, clock=lambda: now - 6))


def test_a_secret_is_rotated_without_signing_anybody_out() -> None:
    old = AuthService(SECRET)
    token = old.generate_token("ann", ["user"])
    both = AuthService(OTHER, previous_secrets=[SECRET])
    assert both.validate_token(token).user_id == "ann"
    fresh = both.generate_token("ann", ["user"])
    assert jwt.get_unverified_header(fresh)["kid"] != jwt.get_unverified_header(token)["kid"]
    assert "secret" in _refused(token, auth=AuthService(OTHER))
    _refused(fresh, auth=old)


def test_the_key_id_picks_a_secret_and_cannot_pick_another() -> None:
    both = AuthService(OTHER, previous_secrets=[SECRET])
    kid = jwt.get_unverified_header(both.generate_token("ann", []))["kid"]
    _refused(_forged(kid=kid), auth=both)  # signed with the old secret under the new one's id
    _refused(_forged(kid="unknown"), auth=both)
    _refused(jwt.encode(_claims(), SECRET, "HS256"), auth=both)


@given(st.text(max_size=200))
def test_no_text_is_a_token(text: str) -> None:
    _refused(text)


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    token = AuthService(SECRET).generate_token("ann", ["user"])
    place = data.draw(st.integers(0, len(token) - 2))  # the last one has bits that count nothing
    other = data.draw(st.characters(codec="ascii").filter(lambda one: one != token[place]))
    _refused(token[:place] + other + token[place + 1 :])


def test_a_very_long_token_is_refused_before_it_is_read() -> None:
    assert "longer" in _refused("a." * 10_000)


def test_roles_give_scopes_and_unknown_ones_give_none() -> None:
    assert scopes_of(["user", "metrics"]) == ROLE_SCOPES["user"] | ROLE_SCOPES["metrics"]
    assert scopes_of(["king"]) == frozenset()
    assert scopes_of([]) == frozenset()
    assert scopes_of(["admin"]) == SCOPES
    assert frozenset().union(*ROLE_SCOPES.values()) == SCOPES
    assert not {"admin", "act_for_others", "metrics"} & ROLE_SCOPES["user"]


def test_the_local_principal_may_do_everything() -> None:
    local = local_principal("me")
    assert local.kind == "local"
    assert all(local.allows(scope) for scope in SCOPES)
    assert not local.allows("something else")


def test_a_program_without_the_extra_masks_and_is_told_what_to_install() -> None:
    code = """
import sys
sys.modules["jwt"] = sys.modules["cryptography"] = None
from pyeino.errors import MissingDependencyError
from pyeino.monitoring import mask_text
from pyeino.security import AuthService, EncryptionService, new_api_key
assert mask_text("password=hunter2") == "password=***"
new_api_key()
for make in (lambda: AuthService("x" * 32), lambda: EncryptionService(key=bytes(32))):
    try:
        make()
    except MissingDependencyError as error:
        assert "pyeino[security]" in str(error), error
    else:
        raise AssertionError("made without its library")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
