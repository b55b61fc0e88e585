"""
The client's side of the protocol: what a device keeps, pulls, merges and pushes.

`copies` has what a device keeps of a dataset and the rules that change it; `session`
goes through one synchronization, an effect and an event at a time; `following` takes a
guest's copy into an account's. All are pure: who uses them stores the copy, makes the
calls and waits. `tests/client_cases` has the same
rules as data, for clients in other languages.
"""
