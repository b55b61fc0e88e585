"""Forms: what is typed is read as it was written, and what cannot be is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from millpond.console import forms
from millpond.console.forms import FormError
from millpond.contract import cognito_identity

CREATE = cognito_identity.API.by_name["CreateIdentityPool"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))


@given(st.dictionaries(TEXTS.filter(bool), TEXTS))
@example({"a=b": "c", " a": "b ", "{": "}", "": ""})
@example({"cost center": "42", "link": "http://x/?a=b"})
def test_a_map_is_read_as_it_was_written(pairs: dict[str, str]) -> None:
    """Whatever is in it; in lines where lines can say it."""
    assert forms.read_map(forms.write_map(pairs)) == pairs


@given(st.lists(TEXTS))
@example(["", " a", "[", "b\nc"])
def test_a_list_is_read_as_it_was_written(items: list[str]) -> None:
    """Whatever is in it, and in its order."""
    assert forms.read_list(forms.write_list(items)) == items


def test_plain_maps_and_lists_are_lines() -> None:
    """People type and read lines, a pair or an item each; space around is nothing."""
    assert forms.write_map({"stage": "test", "url": "a=b"}) == "stage = test\nurl = a=b"
    assert forms.write_list(["arn:a", "arn:b"]) == "arn:a\narn:b"
    assert forms.read_map("\n  a=b \n\n c = \n") == {"a": "b", "c": ""}
    assert forms.read_list("\n a \n\nb") == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        *("no sign", "= value", "a = b\na = c", '{"a": 1}', '{"a": "b"', "[]"),
        *('{"a": "b"} x', '{"a": ' * 5000),
    ],
)
def test_what_is_no_map_is_refused(text: str) -> None:
    """With a sentence, at the field that it was typed into."""
    with pytest.raises(FormError) as caught:
        forms.read_map(text, "Tags")

    assert [*caught.value.errors] == ["Tags"]


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"IdentityPoolName": ""}, "IdentityPoolName"),
        ({"IdentityPoolName": "<script>"}, "IdentityPoolName"),
        ({"IdentityPoolName": "a" * 129}, "IdentityPoolName"),
        ({"IdentityPoolName": None}, "IdentityPoolName"),
        ({"AllowUnauthenticatedIdentities": "x"}, "AllowUnauthenticatedIdentities"),
        ({"SupportedLoginProviders": {"x": " "}}, "SupportedLoginProviders"),
        ({"CognitoIdentityProviders": [{"ClientId": 1}]}, "CognitoIdentityProviders"),
        ({"IdentityPoolTags": {"a": {"b": "c\0"}}}, "IdentityPoolTags"),
    ],
)
def test_what_a_request_cannot_have_is_said_at_its_field(
    given_: dict[str, Any], field: str
) -> None:
    """By the name of the API."""
    whole = {"IdentityPoolName": "a", "AllowUnauthenticatedIdentities": False}

    with pytest.raises(FormError) as caught:
        forms.make_request(CREATE, whole | given_)

    assert [*caught.value.errors] == [field]
    assert caught.value.errors[field]
