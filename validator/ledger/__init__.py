"""The validator's ledger: one SQL database in which every transition is one transaction.

The loop is its only writer; the API opens it read-only. Keys are natural, so doing a thing twice is a
no-op, and a kill between any two transactions loses nothing.
"""
