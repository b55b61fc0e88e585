-- Who signs in takes along what was written to identities that were merged into theirs.
CREATE INDEX identities_by_survivor ON identities (merged_into, last_modified_date_ms)
WHERE merged_into IS NOT NULL;
