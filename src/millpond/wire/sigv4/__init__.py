"""
AWS Signature Version 4: the canonical form, and who makes and who checks signatures.

One copy of the form, `canonical`, serves the `signer` and the `verifier`; `claims` has
what a request says of its signature. The signer and the form load the standard library
alone, in no time, because a command does not live longer than its one call; so this
module imports none of them.
"""
