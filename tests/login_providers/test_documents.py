"""Key sets and configurations: what is for us is read, the rest is passed over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from login_providers.signing import private_key, public_jwk
from millpond.core.login_tokens import ALGORITHMS
from millpond.errors import LoginProviderError
from millpond.login_providers.documents import read_configuration, read_key_set

STEADY = settings(derandomize=True, database=None, deadline=None)
GOOD = public_jwk("ES256", "good")
RSA = public_jwk("RS256", "rsa")


def read(*entries: Any) -> list[tuple[str | None, str]]:
    """Read a key set; give the id and the algorithm of each key."""
    document = json.dumps({"keys": entries}).encode()
    return [(each.key_id, each.algorithm_name) for each in read_key_set(document)]


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (RSA, ["RS256"]),
        ({**RSA, "alg": "PS512"}, ["PS512"]),
        (
            public_jwk("RS256", "rsa", alg=None),
            [*("RS256", "RS384", "RS512"), *("PS256", "PS384", "PS512")],
        ),
        (public_jwk("ES256", "rsa", alg=None), ["ES256"]),
        (public_jwk("ES384", "rsa", alg=None), ["ES384"]),
        (public_jwk("ES512", "rsa", alg=None), ["ES512"]),
        (public_jwk("EdDSA", "rsa", alg=None), ["EdDSA"]),
        (public_jwk("RS256", "rsa", use=None), ["RS256"]),
        ({**RSA, "key_ops": ["verify"], "x5t": "x", "x5c": ["x"]}, ["RS256"]),
    ],
)
def test_a_key_is_for_the_algorithms_it_names(
    jwk: dict[str, Any], algorithms: list[str]
) -> None:
    """A key that names an algorithm is for that; one that does not, for all it can."""
    assert read(jwk) == [("rsa", each) for each in algorithms]
    assert set(algorithms) <= ALGORITHMS


@pytest.mark.parametrize(
    "entry",
    [
        {**RSA, "use": "enc"},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "alg": "RSA-OAEP"},
        {**RSA, "alg": "ES256"},
        {**RSA, "alg": "none"},
        {**RSA, "alg": "HS256"},
        {**RSA, "alg": ["RS256"]},
        {**RSA, "kty": "EC"},
        {**RSA, "kty": "AKP"},
        {**RSA, "kty": None},
        {**RSA, "kid": 7},
        {**RSA, "n": 7},
        {**RSA, "n": "!"},
        {**RSA, "n": "_" * 2804},
        {**RSA, "e": "Ag"},
        {**RSA, "e": None},
        {**GOOD, "x": GOOD["y"], "y": GOOD["x"]},
        {**GOOD, "crv": "P-384"},
        {**GOOD, "crv": "secp256k1"},
        {**GOOD, "crv": ["P-256"]},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "secret"},
        {"kty": "OKP", "crv": "X25519", "x": "AAAA"},
        {},
        [],
        None,
        "key",
    ],
    ids=lambda entry: str(entry)[-24:],
)
def test_what_is_not_for_us_is_passed_over(entry: Any) -> None:
    """One key of another kind or use, or a broken one, leaves the others alone."""
    assert read(entry, GOOD) == [("good", "ES256")]
    with pytest.raises(LoginProviderError, match="no key that signs"):
        read(entry)


def test_a_private_part_is_not_taken_over() -> None:
    """A provider that publishes its private keys by mistake is read like any other."""
    rsa = RSAAlgorithm.to_jwk(private_key("RS256"), as_dict=True)
    curve = ECAlgorithm.to_jwk(private_key("ES256"), as_dict=True)
    document = json.dumps({"keys": [{**rsa, "key_ops": None}, curve]}).encode()

    assert {"d"} <= rsa.keys() & curve.keys()
    for key in read_key_set(document):
        assert not hasattr(key.key, "sign")
        assert hasattr(key.key, "verify")


def test_the_number_of_keys_is_bounded() -> None:
    """Of a key set without end, the first hundred count."""
    number = ec.generate_private_key(ec.SECP256R1()).public_key()
    jwk = ECAlgorithm.to_jwk(number, as_dict=True)

    assert len(read(*({**jwk, "kid": str(n)} for n in range(101)))) == 100


@pytest.mark.parametrize("issuer", ["https://a.com", "https://a.com/", "a.com"])
def test_a_configuration_leads_to_the_keys(issuer: str) -> None:
    """The configuration says where the keys are; what else is in it is skipped."""
    document = {"issuer": issuer, "jwks_uri": "https://b.com/k", "scopes": ["x"]}

    found = read_configuration(
        json.dumps(document).encode(), provider_name="a.com", may_be_http=False
    )

    assert found == "https://b.com/k"


def test_keys_without_tls_are_for_those_who_want_them() -> None:
    """An address without TLS is good where the operator has none either."""
    document = json.dumps({"issuer": "a.com", "jwks_uri": "http://b.com/k"}).encode()

    found = read_configuration(document, provider_name="a.com", may_be_http=True)

    assert found == "http://b.com/k"
    with pytest.raises(LoginProviderError, match="not https"):
        read_configuration(document, provider_name="a.com", may_be_http=False)


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=6,
)


@STEADY
@given(
    st.lists(
        st.builds(
            lambda jwk, changes: {**jwk, **changes},
            st.sampled_from([GOOD, RSA, public_jwk("EdDSA")]),
            st.dictionaries(st.sampled_from([*RSA, "x", "y", "crv", "key_ops"]), JSON),
        ),
        max_size=3,
    )
)
def test_no_entry_breaks_reading(entries: list[Any]) -> None:
    """Whatever a key set holds, its good keys are read."""
    assert read(*entries, GOOD)[-1] == ("good", "ES256")


@STEADY
@given(st.binary(max_size=200) | JSON.map(lambda each: json.dumps(each).encode()))
def test_no_document_breaks_reading(document: bytes) -> None:
    """Anything else than a document of the kind is refused in words."""
    with pytest.raises(LoginProviderError):
        read_key_set(document)
    with pytest.raises(LoginProviderError):
        read_configuration(document, provider_name="a.com", may_be_http=False)
