"""Login tokens: what is believed, and what each refusal says."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from login_providers.signing import (
    NOW_S,
    PROVIDER,
    claims,
    private_key,
    public_jwk,
    public_key,
    sign,
    spell,
)
from millpond.core.login_tokens import (
    LoginToken,
    check_token,
    is_expired,
    is_issuer,
    read_token,
    verify_token,
)
from millpond.errors import NotAuthorizedException

STEADY = settings(derandomize=True, database=None, deadline=None)
USER_POOL = "cognito-idp.us-east-1.amazonaws.com/us-east-1_abc"
NO_TOKEN = "Invalid login token. Not a valid OpenId Connect identity token."
NOT_VERIFIED = "Invalid login token. Couldn't verify signed token."
GRACE_S = 300
NONSENSE: dict[str, list[Any]] = {
    "sub": [7, True, "", [], {}, "a\0b", "x" * 1025],
    "aud": [7, "", [], {}, [7], ["app", None], "a\0b"],
    "azp": [7, "", [], ["app"]],
    "exp": ["1750003600", True, [], -1, 1e300, 10**400],
    "nbf": ["0", False, {}, -1, 10**30],
    "iat": ["0", True, [1], -0.5],
}

KEYS = {
    algorithm: public_key(algorithm)
    for algorithm in (
        *("RS256", "RS384", "RS512"),
        *("PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512"),
        "EdDSA",
    )
}


def verify(
    text: str,
    keys: list[jwt.PyJWK] | None = None,
    *,
    provider_name: str = PROVIDER,
    now_s: int = NOW_S,
) -> Mapping[str, Any]:
    return verify_token(
        read_token(text),
        [KEYS["RS256"]] if keys is None else keys,
        provider_name=provider_name,
        audiences={"app", "other app"},
        now_s=now_s,
    )


def refused(text: str, keys: list[jwt.PyJWK] | None = None, **options: Any) -> str:
    with pytest.raises(NotAuthorizedException) as caught:
        verify(text, keys, **options)
    return caught.value.message


# --- What is believed -----------------------------------------------------------------


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_good_token_is_believed(algorithm: str) -> None:
    """With each algorithm of a key pair, the claims of a good token come back."""
    text = sign(claims(email="a@example.com"), algorithm=algorithm)

    found = verify(text, [KEYS[algorithm]])

    assert found["sub"] == "alice"
    assert found["email"] == "a@example.com"


def test_reading_tells_which_key_to_look_for() -> None:
    """A token names its algorithm, its key and its claims before it is verified."""
    token = read_token(sign(algorithm="ES256", key_id="one"))

    assert (token.algorithm, token.key_id) == ("ES256", "one")
    assert token.claims == claims()
    without = spell({"alg": "RS256"}, claims())
    assert read_token(without).key_id is None


def test_any_of_the_keys_may_have_signed() -> None:
    """Where the token names no key, all are tried; a key without an id fits any."""
    text = sign(key_id="two", headers={"kid": "two"})
    nameless = jwt.PyJWK(public_jwk(key_id="two", kid=None))
    anonymous = jwt.PyJWS().encode(
        read_payload(text), private_key(key_id="two"), "RS256"
    )

    assert verify(text, [nameless])
    assert verify(anonymous, [KEYS["RS256"], public_key(key_id="two")])


def read_payload(text: str) -> bytes:
    found: bytes = jwt.PyJWS().decode_complete(
        text, options={"verify_signature": False}
    )["payload"]
    return found


@pytest.mark.parametrize(
    "issuer", [PROVIDER, f"https://{PROVIDER}", f"https://{PROVIDER}/"]
)
def test_the_issuer_may_leave_out_its_scheme(issuer: str) -> None:
    """Google has spelled its issuer with and without a scheme, Auth0 with a slash."""
    assert verify(sign(claims(iss=issuer)))
    assert is_issuer(issuer, PROVIDER)


@pytest.mark.parametrize("audience", ["app", "other app", ["app"], ["stranger", "app"]])
def test_one_audience_of_ours_is_enough(audience: Any) -> None:
    """The audience is one of the client ids, or a list with one of them."""
    assert verify(sign(claims(aud=audience)))


def test_the_authorized_party_stands_for_the_audience() -> None:
    """With `azp`, that one must be a client id; the audience may be another."""
    assert verify(sign(claims(azp="app", aud="server")))
    assert "audience" in refused(sign(claims(azp="server", aud="app")))


def test_clocks_may_differ_by_five_minutes() -> None:
    """A token is good until five minutes after it expired and as long before it is."""
    expiring = sign(claims(exp=NOW_S, iat=NOW_S - 60))
    early = sign(claims(nbf=NOW_S + GRACE_S, iat=NOW_S + GRACE_S))

    assert verify(expiring, now_s=NOW_S + GRACE_S - 1)
    assert verify(early)


def test_times_may_have_fractions() -> None:
    """A NumericDate need not be whole."""
    assert verify(sign(claims(exp=NOW_S + 0.5, iat=NOW_S - 0.5, nbf=NOW_S - 1.25)))


# --- What is no token -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "token",
        "a.b",
        "...",
        "a.b.c",
        sign() + ".extra",
        sign().replace(".", "..", 1),
        "EAACEdEose0cBA" * 10,  # Facebook's are no JWT
        spell(b"no json", claims()),
        spell({"alg": "RS256"}, b"no json"),
        spell(["alg"], claims()),
        spell({"alg": "RS256"}, ["sub"]),
        spell({}, claims()),
        spell({"alg": None}, claims()),
        spell({"alg": ["RS256"]}, claims()),
        spell({"alg": "RS256", "kid": 1}, claims()),
        spell({"alg": "RS256", "kid": "a\0b"}, claims()),
        spell(b'{"alg":"RS256","kid":"\\ud800"}', claims()),
        spell({"alg": "RS256", "crit": ["exp"], "exp": 1}, claims()),
        spell({"alg": "RS256"}, b'{"exp":NaN}'),
        spell({"alg": "RS256"}, b'{"exp":1e999}'),
        spell({"alg": "RS256"}, b'{"sub":"\\ud800"}'),
        spell({"alg": "RS256"}, b'{"sub":"\xff"}'),
        spell({"alg": "RS256"}, b'{"a":' * 20_000),
        spell(b"[" * 30_000, claims()),
        "\u00e9." + sign(),
        "\ud800",
        sign(claims(padding="x" * 50_000)),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_no_token_says_so(text: str) -> None:
    """Whatever cannot be read as a JSON Web Token is refused with one text."""
    with pytest.raises(NotAuthorizedException) as caught:
        read_token(text)

    assert caught.value.message == NO_TOKEN


def test_a_token_does_not_show_itself() -> None:
    """What is printed of a token does not let anyone use it."""
    text = sign()

    shown = repr(read_token(text))

    assert text.rpartition(".")[2] not in shown
    assert "alice" not in shown


# --- Signatures -----------------------------------------------------------------------


def test_a_token_without_a_signature_is_refused() -> None:
    """The algorithm `none` is no algorithm, in no spelling, with no key."""
    for algorithm in ("none", "None", "NONE", ""):
        text = spell({"alg": algorithm, "kid": "one"}, claims())
        assert refused(text) == NOT_VERIFIED
        assert refused(text, []) == NOT_VERIFIED


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_secret(algorithm: str) -> None:
    """A token signed with the public key in the place of a secret is refused."""
    public = private_key().public_key()
    jwk = RSAAlgorithm.to_jwk(public).encode()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    digest = getattr(hashlib, algorithm.replace("HS", "sha"))

    for secret in (jwk, pem, pem.strip()):
        unsigned = spell({"alg": algorithm, "kid": "one"}, claims()).rstrip(".")
        mac = hmac.digest(secret, unsigned.encode(), digest)
        header, payload = ({"alg": algorithm, "kid": "one"}, claims())
        assert refused(spell(header, payload, mac)) == NOT_VERIFIED


def test_a_shared_secret_is_refused_even_if_it_is_published() -> None:
    """A symmetric key among the keys verifies nothing."""
    secret = b"s" * 32
    key = jwt.PyJWK({"kty": "oct", "k": "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"})
    text = jwt.encode(claims(), secret, "HS256")

    assert refused(text, [key]) == NOT_VERIFIED


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "ES256", "EdDSA"])
def test_a_key_verifies_its_own_algorithm_alone(algorithm: str) -> None:
    """A header cannot choose another algorithm than that of the key."""
    text = sign(algorithm=algorithm)

    assert refused(text, [KEYS["RS256"]]) == NOT_VERIFIED


def test_another_key_does_not_verify() -> None:
    """A signature of a key that is not the provider's is refused, whatever its id."""
    stranger = sign(key_id="stranger", headers={"kid": "one"})

    assert refused(stranger) == NOT_VERIFIED
    assert refused(sign(key_id="stranger")) == NOT_VERIFIED
    assert refused(sign(), []) == NOT_VERIFIED


def test_a_key_of_another_id_is_not_tried() -> None:
    """A token that names one key is not verified with another."""
    text = sign(headers={"kid": "two"})

    assert refused(text, [KEYS["RS256"]]) == NOT_VERIFIED


def test_a_weak_key_verifies_nothing() -> None:
    """An RSA key of fewer than 2,048 bits is as good as none."""
    weak = private_key("RS256", "weak", bits=1024)
    jwk = RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True)
    text = spell({"alg": "RS256"}, claims())
    unsigned = text.rstrip(".")
    algorithm = RSAAlgorithm(RSAAlgorithm.SHA256)
    signature = algorithm.sign(unsigned.encode(), weak)

    forged = spell({"alg": "RS256"}, claims(), signature)

    assert refused(forged, [jwt.PyJWK(jwk, "RS256")]) == NOT_VERIFIED


def test_a_changed_token_is_refused() -> None:
    """Claims, header and signature belong together."""
    header, payload, signature = sign().split(".")
    others = sign(claims(sub="bob")).split(".")
    odd = sign(headers={"typ": "odd"}).split(".")

    assert refused(f"{header}.{others[1]}.{signature}") == NOT_VERIFIED
    assert refused(f"{odd[0]}.{payload}.{signature}") == NOT_VERIFIED
    assert refused(f"{header}.{payload}.{others[2]}") == NOT_VERIFIED
    assert refused(f"{header}.{payload}.") == NOT_VERIFIED


# --- Claims ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "issuer",
    [
        "https://evil.example.com",
        f"http://{PROVIDER}",
        f"https://{PROVIDER}.evil.example.com",
        f"https://{PROVIDER}/realm",
        f"https://{PROVIDER}//",
        f"HTTPS://{PROVIDER}",
        f" https://{PROVIDER}",
        "",
        7,
        [f"https://{PROVIDER}"],
    ],
)
def test_another_issuer_is_refused(issuer: Any) -> None:
    """The issuer is the provider in whose name the token comes, and nobody else."""
    expected = "Invalid login token. Issuer doesn't match providerName"

    assert refused(sign(claims(iss=issuer))) == expected


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp"])
def test_a_missing_claim_is_named(name: str) -> None:
    """A claim that is not there, or null, is asked for by its name."""
    expected = f"Invalid login token. Missing a required claim: {name}"

    assert refused(sign(claims(**{name: None}))) == expected
    assert refused(sign({**claims(), name: None})) == expected


def test_an_access_token_of_a_user_pool_lacks_an_audience() -> None:
    """An access token in the place of an identity token is told by what it lacks."""
    access = claims(
        iss=f"https://{USER_POOL}", aud=None, token_use="access", client_id="app"
    )

    assert refused(sign(access), provider_name=USER_POOL) == (
        "Invalid login token. Missing a required claim: aud"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in NONSENSE.items() for value in values],
    ids=lambda value: str(value)[:12],
)
def test_a_claim_that_makes_no_sense_is_refused(name: str, value: Any) -> None:
    """Claims of the wrong type or size are refused by name, and never believed."""
    text = sign(claims(**{name: value}))

    assert refused(text) == f"Invalid login token. The claim {name} is not valid."


def test_the_longest_subject_is_accepted() -> None:
    """A subject may have 1,024 characters."""
    assert verify(sign(claims(sub="\u00e9" * 1024)))["sub"] == "\u00e9" * 1024


def test_an_expired_token_says_when() -> None:
    """Five minutes after its time a token has expired; both times are told."""
    text = sign(claims(exp=NOW_S))
    now_s = NOW_S + GRACE_S

    assert refused(text, now_s=now_s) == (
        f"Invalid login token. Token expired: {now_s} >= {NOW_S}"
    )
    assert is_expired({"exp": NOW_S}, now_s=now_s)
    assert not is_expired({"exp": NOW_S}, now_s=now_s - 1)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_of_the_future_is_refused(name: str) -> None:
    """A token is not good before its time, nor before it was made."""
    begins = NOW_S + GRACE_S + 1

    assert refused(sign(claims(**{name: begins}))) == (
        f"Invalid login token. Token not valid yet: {NOW_S} < {begins}"
    )


def test_a_token_for_another_application_is_refused() -> None:
    """An audience that is no client id of the pool is refused."""
    expected = "Invalid login token. Incorrect token audience."

    assert refused(sign(claims(aud="stranger"))) == expected
    assert refused(sign(claims(aud=["stranger", "APP", "app "]))) == expected


def test_a_user_pool_that_is_not_the_pools_has_a_text_of_its_own() -> None:
    """For a user pool, a wrong client id reads as an unsupported provider."""
    text = sign(claims(iss=f"https://{USER_POOL}", aud="stranger"))

    assert refused(text, provider_name=USER_POOL) == (
        "Token is not from a supported provider of this identity pool."
    )


def test_the_checks_have_an_order() -> None:
    """Of several faults the first in the order of the checks is told."""
    faults: dict[str, Any] = {"aud": "stranger", "exp": 1, "sub": "", "iss": "evil"}
    mended: dict[str, Any] = {}
    told = []
    for name in ("iss", "sub", "key", "exp", "aud"):
        text = sign(claims(**{**faults, **mended}), headers={"kid": "one"})
        keys = [KEYS["RS256"]] if "key" in mended else []
        told.append(refused(text, keys))
        mended[name] = claims().get(name)
    unsigned = spell({"alg": "none"}, claims(**faults))

    assert refused(unsigned) == NOT_VERIFIED
    assert [each.removeprefix("Invalid login token. ") for each in told] == [
        "Issuer doesn't match providerName",
        "The claim sub is not valid.",
        "Couldn't verify signed token.",
        f"Token expired: {NOW_S} >= 1",
        "Incorrect token audience.",
    ]


def test_what_no_key_could_make_good_is_found_without_one() -> None:
    """Algorithm, issuer and claims are checked before anyone is asked for keys."""
    check_token(read_token(sign()), provider_name=PROVIDER)

    for bad in (
        spell({"alg": "HS256"}, claims()),
        sign(claims(iss="https://evil.example.com")),
        sign(claims(aud=None)),
    ):
        with pytest.raises(NotAuthorizedException, match=r"^Invalid login token\. "):
            check_token(read_token(bad), provider_name=PROVIDER)


# --- Garbage --------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


@STEADY
@given(st.text(max_size=200) | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_no_text_breaks_reading(text: str) -> None:
    """Any text is refused, or is a token that then is not believed."""
    with pytest.raises(NotAuthorizedException):
        verify(text)


@STEADY
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jwk", "jku", "x5c"]),
        JSON | st.sampled_from(sorted(KEYS)) | st.just("none"),
    ),
    changes=st.dictionaries(st.sampled_from(sorted(claims())), JSON),
    signature=st.binary(max_size=600),
)
def test_no_forged_token_is_believed(
    header: dict[str, Any], changes: dict[str, Any], signature: bytes
) -> None:
    """Whatever header, claims and signature a stranger makes up, it is refused."""
    text = spell(header, {**claims(), **changes}, signature)

    with pytest.raises(NotAuthorizedException):
        verify(text, list(KEYS.values()))


@STEADY
@given(changes=st.dictionaries(st.sampled_from([*claims(), "nbf", "azp"]), JSON))
def test_no_claims_break_verification(changes: dict[str, Any]) -> None:
    """A provider may sign what it likes: it is believed or refused, never a fault."""
    token = LoginToken("", "RS256", None, {**claims(), **changes}, b"")

    try:
        check_token(token, provider_name=PROVIDER)
    except NotAuthorizedException:
        return
    assert isinstance(token.claims["sub"], str)
    assert token.claims["exp"] >= 0
