"""
One async function per operation, grouped by noun, named like the operation.

Each takes the context, the caller and the decoded request, and returns the response; it
refuses by raising an exception of the API. Nothing here knows HTTP or SQL.
"""
