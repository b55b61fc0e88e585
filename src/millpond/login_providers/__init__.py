"""Login providers: where the keys of their tokens come from."""
