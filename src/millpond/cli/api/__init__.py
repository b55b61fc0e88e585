"""
The commands of the published APIs, with the syntax and output of the AWS CLI.

Derived from the contract; `command` is the way of one command line. A plain call loads
the standard library alone, so nothing here may import more than that at its top.
"""
