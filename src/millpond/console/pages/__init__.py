"""The pages: a module for each group, each with its `ROUTES`."""
