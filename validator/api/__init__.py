"""The read-only HTTP side: it answers from the ledger, holds no key and writes nothing."""
