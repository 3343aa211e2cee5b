"""Programmatic judges: what a slice of kind `verifier:NAME` gives a completion, in [0, 1].

Scorers, miners and owners find a verifier here by its name. A file of this folder that has a `VERIFIER`
is one; nothing else lists them. A changed rule gets a new name and a new file: old evidence must replay.
"""

from __future__ import annotations

from shared.judging.verifiers.numerals import number_of
from shared.judging.verifiers.registry import VERIFIERS, find_verifier, verify
from shared.judging.verifiers.verifier import Example, Params, Verifier

__all__ = ["VERIFIERS", "Example", "Params", "Verifier", "find_verifier", "number_of", "verify"]
