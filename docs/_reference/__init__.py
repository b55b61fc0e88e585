"""Pages of the reference that are read from programs, not from the contract."""
