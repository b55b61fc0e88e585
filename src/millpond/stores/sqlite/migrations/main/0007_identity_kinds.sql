-- Guests, users and merged identities are listed apart (`core.identities.IdentityKind`).
CREATE INDEX identities_by_kind ON identities (
    identity_pool_id, (CASE WHEN merged_into IS NULL THEN guest ELSE 2 END), identity_id
);
