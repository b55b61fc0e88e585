"""The public test kit: contract suites for stores and sinks, and a running server."""
