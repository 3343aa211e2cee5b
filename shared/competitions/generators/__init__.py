"""Generators of prompts that nobody has read: seeded, one file each, found by name in `registry.py`."""
