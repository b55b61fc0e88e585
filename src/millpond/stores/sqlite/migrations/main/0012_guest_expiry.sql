-- When a guest was last given credentials; NULL: not since that is kept.
ALTER TABLE identities ADD COLUMN used_ms INTEGER;

-- Since when it is kept; without a row it is not.
CREATE TABLE guest_expiry (
    expiry_number INTEGER PRIMARY KEY, -- 1: there is one
    since_ms INTEGER NOT NULL
) STRICT;
