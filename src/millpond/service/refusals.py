"""Refusals that several operations share."""

from __future__ import annotations

from millpond.errors import NotImplementedException, ResourceNotFoundException


def pool_not_found(identity_pool_id: str) -> ResourceNotFoundException:
    """Word the refusal of an unknown pool, as the AWS SDKs' smoke tests expect it."""
    return ResourceNotFoundException(f"IdentityPool '{identity_pool_id}' not found")


def identity_pool_not_found(identity_pool_id: str) -> ResourceNotFoundException:
    """Word the same for Cognito Identity, whose text ends in a full stop."""
    return ResourceNotFoundException(f"IdentityPool '{identity_pool_id}' not found.")


def not_built(operation: str) -> NotImplementedException:
    """Word the answer of an operation that this version does not have."""
    return NotImplementedException(
        f"{operation} is part of the API, but this version of Millpond does not have "
        "it yet."
    )
