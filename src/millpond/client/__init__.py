"""What calls a server: `api` makes calls of the published APIs."""
