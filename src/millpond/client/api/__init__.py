"""
Calls of the published APIs: settings, credentials, requests, answers.

Derived from the contract, by the models that are kept beside. The command line, doctor
and sources stand on it; it knows nothing of theirs. A plain call loads the standard
library alone, so nothing here may import more than that at its top.
"""
