"""The command line: `api/` has the commands of the APIs, the rest administers."""
