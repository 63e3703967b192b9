"""Calls to others: the ledger, the directory, and the providers of rails. They fit the protocols of `operations.desk`."""
