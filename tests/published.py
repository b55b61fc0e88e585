"""
The models that AWS publishes, as the installed botocore brings them along.

`MADE_FROM` is the release whose models our contract was made from. With that release
the two must agree to the letter. Another one may say something else without anything
being wrong here: then a test tells what differs, as a warning, and goes on. To follow a
newer release: `make lock-upgrade`, set `MADE_FROM`, and mend what the tests then find.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import botocore
import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader

MADE_FROM = "1.44.8"


class OtherModelWarning(UserWarning):
    """The installed botocore has a model that says something else than ours."""


def load(service: str) -> dict[str, Any]:
    """Load the published model of a service; skip where botocore has it no more."""
    try:
        model: dict[str, Any] = Loader().load_service_model(service, "service-2")
    except UnknownServiceError:
        if botocore.__version__ == MADE_FROM:
            raise
        pytest.skip(
            f"botocore {botocore.__version__} has no model of {service}; "
            f"{MADE_FROM} has one",
            allow_module_level=True,
        )
    return model


def check(differences: Iterable[str]) -> None:
    """Fail for what differs from the release followed; tell what another one says."""
    found = list(differences)
    if not found:
        return
    if botocore.__version__ == MADE_FROM:
        pytest.fail(
            f"not as in botocore {MADE_FROM}:\n  " + "\n  ".join(found), pytrace=False
        )
    warnings.warn(
        f"botocore {botocore.__version__} differs from {MADE_FROM}, which the contract "
        f"was made from: {'; '.join(found)}",
        OtherModelWarning,
        stacklevel=2,
    )


def differences(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """List where two models, or parts of them, are not equal: path, ours, theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            each
            for name in sorted({*ours, *theirs})
            for each in differences(
                ours.get(name, _NOTHING), theirs.get(name, _NOTHING), f"{at}.{name}"
            )
        ]
    return [] if ours == theirs else [f"{at or '.'}: {ours!r} in place of {theirs!r}"]


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()
