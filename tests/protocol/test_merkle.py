"""Merkle roots: a proof ties one leaf to one place and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from shared.protocol.merkle import leaf_hash, merkle_proof, merkle_root, proves, root_of_leaves

LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


@given(LEAVES, st.data())
def test_every_leaf_is_proven_at_its_own_place(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root = merkle_root(leaves)
    assert proves(leaves[index], index, len(leaves), merkle_proof(leaves, index), root)


@given(LEAVES, st.data())
def test_no_other_leaf_passes_for_it(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    forged = data.draw(st.binary(max_size=8).filter(lambda leaf: leaf != leaves[index]))
    assert not proves(forged, index, len(leaves), merkle_proof(leaves, index), merkle_root(leaves))


@given(st.lists(st.binary(max_size=4), min_size=2, max_size=20, unique=True), st.data())
def test_a_proof_serves_one_place_only(leaves: list[bytes], data: st.DataObject) -> None:
    index, other = data.draw(st.lists(st.integers(0, len(leaves) - 1), min_size=2, max_size=2, unique=True))
    proof = merkle_proof(leaves, index)
    assert not proves(leaves[index], other, len(leaves), proof, merkle_root(leaves))


def test_an_inner_node_cannot_pass_for_a_leaf() -> None:
    leaves = [b"a", b"b", b"c", b"d"]
    left = merkle_root(leaves[:2]).removeprefix("sha256:")
    right = merkle_root(leaves[2:]).removeprefix("sha256:")
    assert not proves(bytes.fromhex(left), 0, 2, [right], merkle_root(leaves))


def test_the_tree_is_that_of_rfc_6962() -> None:
    # test vector of the RFC's reference implementation for the leaves "", 00, 10
    leaves = [b"", b"\x00", b"\x10"]
    expected = "sha256:aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert merkle_root(leaves) == expected


@given(st.lists(st.binary(max_size=8), max_size=12))
def test_leaf_hashes_alone_give_the_same_root(leaves: list[bytes]) -> None:
    assert root_of_leaves([leaf_hash(leaf) for leaf in leaves]) == merkle_root(leaves)
