"""
Pools and streams as a file: `millpond apply` and `millpond dump`.

`shapes` has the words of the file, which are the API's; `present` asks a server for
what there is in the same words; `plan` compares the two, pure; `text` writes TOML.
"""
