"""No submission, however malformed, may stop block production or leave half a change behind."""

import asyncio

import bittensor as bt
from bittensor.sp_core import Keypair
from hypothesis import given, settings
from hypothesis import strategies as st

from localnet.extrinsic import LocalCall
from localnet.genesis import Genesis, create_chain
from localnet.runtime import CALLS, _dispatch
from localnet.store import State
from localnet.substrate import LocalSubstrate

ALICE = Keypair.create_from_uri("//Alice").ss58_address
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.integers(-(2**130), 2**130)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([ALICE, "0x", "0xzz", "0x" + "11" * 65, "Raw1", "None", "bits"])
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["fields", "Raw1", "TimelockEncrypted", "bits"]), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = sorted(
    {
        *("netuid", "hotkey", "dest", "value", "dests", "weights", "version_key", "mecid", "info", "state"),
        *("origin", "ip", "port", "ip_type", "protocol", "version", "evm_key", "block_number", "signature"),
        *("amount_staked", "amount_unstaked", "limit_price", "allow_partial", "keep_alive", "ciphertext"),
        *("tempo", "mode", "enabled", "burn_increase_mult", "alpha_low", "alpha_high", "min_burn"),
    }
)


@settings(max_examples=300)
@given(
    call=st.sampled_from(sorted(CALLS)),
    params=st.dictionaries(st.sampled_from(NAMES), trees, max_size=8),
    netuid=st.sampled_from([0, 1, 2]),
)
def test_every_call_is_run_or_refused(hostile_state, call, params, netuid):
    module, function = call.split(".")
    state = hostile_state
    error = _dispatch(state, LocalCall(module, function, {"netuid": netuid, **params}), ALICE)
    assert error is None or error.isidentifier()
    assert not state.db.in_transaction


def hostile_chain(path) -> LocalSubstrate:
    create_chain(path, Genesis.preset("dev", block_time_s=0))
    return LocalSubstrate(path)


def test_a_malformed_call_costs_its_fee_and_nothing_else(tmp_path):
    substrate = hostile_chain(tmp_path / "chain.db")

    async def story():
        async with bt.Client("local", substrate=substrate) as client:
            wallet = Keypair.create_from_uri("//Alice")
            before = (await client.balances.get(ALICE)).rao
            calls = [
                bt.calls.Call("Balances", "transfer_keep_alive", {"dest": ALICE}),
                bt.calls.Call("Balances", "transfer_keep_alive", {"dest": "x", "value": 1}),
                bt.calls.Call("AdminUtils", "sudo_set_min_burn", {"state": 1, "origin": 2, "netuid": 1}),
                bt.calls.Call("Commitments", "set_commitment", {"netuid": 1, "info": {"fields": [[[]]]}}),
            ]
            names = [(await client.submit_call(call, wallet)).error.name for call in calls]
            assert names == ["InvalidCall", "InvalidCall", "InvalidCall", "InvalidCommitment"]
            fee = substrate.chain.genesis.fee_rao
            assert (await client.balances.get(ALICE)).rao == before - 3 * fee

    asyncio.run(story())


def test_a_closed_handle_opens_again(tmp_path):
    substrate = hostile_chain(tmp_path / "chain.db")

    async def look() -> int:
        async with bt.Client("local", substrate=substrate) as client:
            return await client.block()

    assert [asyncio.run(look()), asyncio.run(look())] == [0, 0]


def test_two_accounts_may_submit_at_the_same_moment(tmp_path):
    substrate = hostile_chain(tmp_path / "chain.db")

    async def story():
        async with bt.Client("local", substrate=substrate) as client:
            dest = Keypair.create_from_uri("//Bob").ss58_address
            sends = [bt.Transfer(dest_ss58=dest, amount_tao=1) for _ in range(6)]
            results = await asyncio.gather(
                *(client.execute(send, Keypair.create_from_uri("//Alice")) for send in sends)
            )
            assert [result.success for result in results] == [True] * 6
            assert (await client.balances.get(dest)).tao == 1_000_006

    asyncio.run(story())


def test_state_reads_return_fresh_objects(tmp_path):
    substrate = hostile_chain(tmp_path / "chain.db")

    def mutate(state: State) -> bool:
        state.get("System.Account", ALICE)["data"]["free"] = 0
        return state.get("System.Account", ALICE)["data"]["free"] == 10**15

    assert substrate.chain.read(None, mutate)
