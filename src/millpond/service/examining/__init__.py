"""
Examining: what can make calls fail and is seen from the server alone.

`server` looks at what all pools share, `pool` at what one pool calls. All looks go on
at the same time, and those that take too long are told as such: whoever asks wants to
know before the client gives up.
"""
