"""Merkle roots and inclusion proofs over byte strings, after RFC 6962 section 2.1.

Statements and prompt pools publish a root first and their leaves later; a proof ties one leaf to the
root. Leaves and nodes are hashed under different prefixes, so neither can pass for the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from shared.types import Digest


def merkle_root(leaves: Sequence[bytes]) -> Digest:
    """Root over `leaves` in their order; the root of no leaves is the hash of nothing."""
    return Digest("sha256:" + _root([_leaf(leaf) for leaf in leaves]).hex())


def root_of_leaves(hashes: Sequence[str]) -> Digest:
    """The root over leaves that are known by their `leaf_hash` only."""
    return Digest("sha256:" + _root([bytes.fromhex(text) for text in hashes]).hex())


def leaf_hash(leaf: bytes) -> str:
    """What a leaf adds to the tree, hex."""
    return _leaf(leaf).hex()


def merkle_proof(leaves: Sequence[bytes], index: int) -> list[str]:
    """Sibling hashes (hex, leaf upwards) that prove `leaves[index]`; IndexError outside the range."""
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    return [node.hex() for node in _path([_leaf(leaf) for leaf in leaves], index)]


def proves(leaf: bytes, index: int, size: int, proof: Sequence[str], root: Digest) -> bool:
    """Whether `proof` ties `leaf`, at `index` of `size` leaves, to `root`."""
    if not 0 <= index < size:
        return False
    node, last = _leaf(leaf), size - 1
    for sibling in proof:
        if last == 0:
            return False
        raw = bytes.fromhex(sibling)
        if index % 2 == 1 or index == last:
            node = _node(raw, node)
            while index % 2 == 0 and index != 0:
                index, last = index >> 1, last >> 1
        else:
            node = _node(node, raw)
        index, last = index >> 1, last >> 1
    return last == 0 and "sha256:" + node.hex() == root


def _leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(n: int) -> int:
    return 1 << ((n - 1).bit_length() - 1)


def _root(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = _split(len(hashes))
    return _node(_root(hashes[:k]), _root(hashes[k:]))


def _path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    k = _split(len(hashes))
    if index < k:
        return [*_path(hashes[:k], index), _root(hashes[k:])]
    return [*_path(hashes[k:], index - k), _root(hashes[:k])]
