-- What the source of an identity told of its user; NULL: nothing, or it began here.
ALTER TABLE identities ADD COLUMN origin BLOB;
