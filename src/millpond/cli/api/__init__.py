"""
The commands of the published APIs, with the syntax and output of the AWS CLI.

`command` is the way of one command line; the call itself is `millpond.client.api`'s. A
plain call loads the standard library alone, so nothing here may import more than that
at its top.
"""
