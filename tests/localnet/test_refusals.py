"""What the chain refuses, by the reference chain's own error names."""

import asyncio

import bittensor as bt
import pytest
from bittensor.sp_core import Keypair

from localnet.genesis import Genesis, create_chain
from localnet.store import open_database
from localnet.substrate import LocalSubstrate


def commit(fields: list) -> object:
    return bt.calls.Commitments.set_commitment(netuid=1, info={"fields": [[f] for f in fields]})


def set_weights(**changes) -> object:
    arguments = {"netuid": 1, "mecid": 0, "dests": [2], "weights": [65535], "version_key": 0, **changes}
    return bt.calls.SubtensorModule.set_mechanism_weights(**arguments)


async def refused(client, call, wallet, signer="hotkey") -> str:
    """Pallet error name of a call that must fail."""
    result = await client.submit_call(call, wallet, signer=signer)
    assert not result.success
    return result.error.name


def test_a_forged_signature_is_refused(world):
    class Forger:
        """Claims Bob's address, signs with Charlie's key."""

        ss58_address = Keypair.create_from_uri("//Bob").ss58_address
        crypto_type = 1

        def sign(self, message: bytes) -> bytes:
            return bytes(Keypair.create_from_uri("//Charlie").sign(message))

    async def story(client):
        thief = world.miner.coldkey.ss58_address
        call = bt.calls.Balances.transfer_keep_alive(dest=thief, value=10**12)
        result = await client._substrate.submit(call, Forger())
        assert (result.success, "bad signature" in result.message) == (False, True)
        assert await client.block() == 0

    world.run(story)


def test_a_forged_row_in_the_pool_is_dropped(world):
    """The pool table is a plain file: inclusion checks the signature once more."""

    async def story(client):
        substrate = client._substrate
        call = await substrate.compose(
            bt.calls.Balances.transfer_keep_alive(dest=world.miner.coldkey.ss58_address, value=5)
        )
        raw, _ = await substrate.sign_extrinsic(call, world.owner.coldkey, nonce=0, period=8)
        forged = raw.replace(b'"value":5', b'"value":50000000')
        insert = "INSERT INTO pool (hash, signer, nonce, raw) VALUES ('0x1', ?, 0, ?)"
        open_database(world.path).execute(insert, (world.owner.coldkey.ss58_address, forged.decode()))
        before = await client.balances.get(world.miner.coldkey.ss58_address)
        world.substrate.advance(1)
        assert await client.balances.get(world.miner.coldkey.ss58_address) == before
        assert not substrate.chain.is_pooled("0x1")

    world.run(story)


def test_an_extrinsic_counts_once(world):
    class Signed:
        data = b""

    async def story(client):
        substrate = client._substrate
        dest = world.miner.coldkey.ss58_address
        call = await substrate.compose(bt.calls.Balances.transfer_keep_alive(dest=dest, value=1_000))
        signed = Signed()
        signed.data, _ = await substrate.sign_extrinsic(call, world.owner.coldkey, nonce=0, period=8)
        first = await substrate.submit_signed(signed, world.owner.coldkey)
        replay = await substrate.submit_signed(signed, world.owner.coldkey)
        assert (first.success, replay.success) == (True, False)
        assert "outdated" in replay.message

    world.run(story)


def test_an_extrinsic_of_another_chain_is_refused(world, tmp_path):
    class Signed:
        data = b""

    async def story(client):
        create_chain(tmp_path / "other.db", Genesis.preset("dev", block_time_s=0))
        other = LocalSubstrate(tmp_path / "other.db")
        dest = world.miner.coldkey.ss58_address
        call = await other.compose(bt.calls.Balances.transfer_keep_alive(dest=dest, value=1_000))
        signed = Signed()
        signed.data, _ = await other.sign_extrinsic(call, world.owner.coldkey, nonce=0, period=8)
        result = await client._substrate.submit_signed(signed, world.owner.coldkey)
        assert (result.success, "bad signature" in result.message) == (False, True)

    world.run(story)


def test_an_expired_extrinsic_is_refused(world):
    class Signed:
        data = b""

    async def story(client):
        substrate = client._substrate
        dest = world.miner.coldkey.ss58_address
        call = await substrate.compose(bt.calls.Balances.transfer_keep_alive(dest=dest, value=1_000))
        signed = Signed()
        signed.data, _ = await substrate.sign_extrinsic(call, world.owner.coldkey, nonce=0, period=8)
        world.substrate.advance(9)
        result = await substrate.submit_signed(signed, world.owner.coldkey)
        assert (result.success, "ancient birth block" in result.message) == (False, True)

    world.run(story)


def test_the_wrong_key_is_refused(world):
    async def story(client):
        await world.found(client)
        calls = bt.calls.SubtensorModule
        register = calls.burned_register(netuid=1, hotkey=world.miner.hotkey.ss58_address)
        foreign = calls.burned_register(netuid=2, hotkey=world.miner.hotkey.ss58_address)
        (await client.execute(bt.RegisterSubnet(), world.owner)).raise_for_failure()
        assert await refused(client, calls.start_call(netuid=1), world.miner, "coldkey") == "NotSubnetOwner"
        assert await refused(client, register, world.owner, "coldkey") == "HotKeyAlreadyRegisteredInSubNet"
        assert await refused(client, foreign, world.owner, "coldkey") == "NonAssociatedColdKey"
        assert (
            await refused(client, set_weights(), world.validator, "coldkey") == "HotKeyNotRegisteredInSubNet"
        )
        tempo = bt.calls.AdminUtils.sudo_set_tempo(netuid=1, tempo=40)
        assert await refused(client, tempo, world.miner, "coldkey") == "BadOrigin"
        field = {"Raw1": b"x"}
        assert await refused(client, commit([field]), world.miner, "coldkey") == "AccountNotAllowedCommit"

    world.run(story)


def test_weights_are_checked_in_the_chains_order(world):
    async def story(client):
        await world.found(client)
        validator, miner = world.validator, world.miner
        assert await refused(client, set_weights(netuid=0), validator) == "CanNotSetRootNetworkWeights"
        assert await refused(client, set_weights(weights=[1, 2]), validator) == "WeightVecNotEqualSize"
        assert await refused(client, set_weights(netuid=9), validator) == "MechanismDoesNotExist"
        assert await refused(client, set_weights(mecid=1), validator) == "MechanismDoesNotExist"
        many = set_weights(dests=[0, 1, 2, 3], weights=[1] * 4)
        assert await refused(client, many, validator) == "UidsLengthExceedUidsInSubNet"
        assert await refused(client, set_weights(dests=[1]), miner) == "NeuronNoValidatorPermit"
        twice = set_weights(dests=[2, 2], weights=[1, 1])
        assert await refused(client, twice, validator) == "DuplicateUids"
        assert await refused(client, set_weights(dests=[7]), validator) == "UidVecContainInvalidOne"
        empty = set_weights(dests=[], weights=[])
        assert await refused(client, empty, validator) == "WeightVecLengthIsLow"
        huge = set_weights(weights=[65_536])
        assert await refused(client, huge, validator) == "InvalidCall"

    world.run(story)


def test_weights_wait_for_the_rate_limit(world):
    async def story(client):
        await world.found(client)
        vote = bt.SetWeights(netuid=1, weights={2: 1})
        (await client.execute(vote, world.validator)).raise_for_failure()
        with pytest.raises(bt.ChainError) as preflight:
            await client.execute(vote, world.validator)
        assert preflight.value.code is bt.ErrorCode.RATE_LIMITED
        assert await refused(client, set_weights(), world.validator) == "SettingWeightsTooFast"
        world.substrate.advance(5)
        (await client.execute(vote, world.validator)).raise_for_failure()

    world.run(story)


def test_stake_and_version_gate_weights(make_world):
    world = make_world(stake_threshold_rao=500 * 10**9)

    async def story(client):
        await world.found(client)
        assert await refused(client, set_weights(), world.validator) == "NotEnoughStakeToSetWeights"
        version = bt.SetHyperparameter(netuid=1, name="weights_version", value=7)
        (await client.execute(version, world.owner)).raise_for_failure()
        old = set_weights(version_key=6)
        assert await refused(client, old, world.owner) == "IncorrectWeightVersionKey"
        now = set_weights(version_key=7)
        assert (await client.submit_call(now, world.owner, signer="hotkey")).success

    world.run(story)


def test_commitments_keep_their_limits(world):
    async def story(client):
        await world.found(client)
        miner = world.miner
        four = commit([{"Raw1": b"x"}] * 4)
        assert await refused(client, four, miner) == "TooManyFieldsInCommitmentInfo"
        for wrong in ({"Raw3": b"x"}, {"Raw129": b"x" * 129}, {"Sha256": b"x"}, {"Nope": b"x"}, 7):
            assert await refused(client, commit([wrong]), miner) == "InvalidCommitment"
        stranger = world.owner
        assert (
            await refused(client, commit([{"Raw1": b"x"}]), stranger, "coldkey") == "AccountNotAllowedCommit"
        )

    world.run(story)


def test_a_commitment_budget_is_spent_and_renewed(make_world):
    world = make_world(tempo=360, weights_rate_limit=0)

    async def story(client):
        await world.found(client)
        miner, small = world.miner, commit([{"Raw1": b"x"}])
        for _ in range(31):
            assert (await client.submit_call(small, miner, signer="hotkey")).success
        assert await refused(client, small, miner) == "SpaceLimitExceeded"
        world.substrate.advance(360)
        assert (await client.submit_call(small, miner, signer="hotkey")).success

    world.run(story)


def test_money_that_is_not_there_cannot_be_spent(make_world):
    poor = Keypair.create_from_uri("//Poor")
    world = make_world(extra={poor.ss58_address: 1_000_000})

    async def story(client):
        await world.found(client)
        dest = world.owner.coldkey.ss58_address
        calls = bt.calls
        wallet = poor
        too_much = calls.Balances.transfer_keep_alive(dest=dest, value=10**9)
        last = calls.Balances.transfer_keep_alive(dest=dest, value=799_800)
        register = calls.SubtensorModule.burned_register(netuid=1, hotkey=poor.ss58_address)
        network = calls.SubtensorModule.register_network(hotkey=poor.ss58_address)
        assert await refused(client, too_much, wallet, "coldkey") == "FundsUnavailable"
        assert await refused(client, last, wallet, "coldkey") == "NotExpendable"
        assert await refused(client, register, wallet, "coldkey") == "NotEnoughBalanceToStake"
        assert await refused(client, network, wallet, "coldkey") == "CannotAffordLockCost"
        # A million rao paid ten fees of 100,000, four of them above.
        assert (await client.balances.get(poor.ss58_address)).rao == 600_000
        nobody = await client.submit_call(too_much, Keypair.create_from_uri("//Nobody"))
        assert (nobody.success, "pay some fees" in nobody.message) == (False, True)

    world.run(story)


def test_axons_keep_their_rules(world):
    async def story(client):
        await world.found(client)

        def serve(**changes):
            return bt.ServeAxon(netuid=1, **{"ip": "10.0.0.1", "port": 80, **changes})

        async def name(intent, wallet):
            return (await client.execute(intent, wallet)).error.name

        assert await name(serve(ip="127.0.0.1"), world.miner) == "InvalidIpAddress"
        assert await name(serve(ip="::1"), world.miner) == "InvalidIpAddress"
        assert await name(serve(port=0), world.miner) == "InvalidPort"
        assert (await client.execute(serve(), world.miner)).success
        assert await name(serve(port=81), world.miner) == "ServingRateLimitExceeded"
        stranger = type(world.miner)(world.owner.coldkey, Keypair.create_from_uri("//Stranger"))
        funded = bt.Transfer(dest_ss58=stranger.hotkey.ss58_address, amount_tao=1)
        (await client.execute(funded, world.owner)).raise_for_failure()
        assert await name(serve(), stranger) == "HotKeyNotRegisteredInNetwork"

    world.run(story)


def test_two_chains_never_share_a_file(world):
    with pytest.raises(FileExistsError):
        create_chain(world.path, Genesis.preset("dev"))
    assert asyncio.run(world.substrate.block_number()) == 0


def test_a_missing_chain_is_not_created_by_looking(tmp_path):
    with pytest.raises(FileNotFoundError):
        LocalSubstrate(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_mainnet_like_rules_bite(tmp_path, world):
    path = tmp_path / "mainnet.db"
    create_chain(path, Genesis.preset("mainnet-like", block_time_s=0))
    substrate = LocalSubstrate(path)

    async def story():
        async with bt.Client("local", substrate=substrate) as client:
            before = await client.balances.get(world.owner.coldkey.ss58_address)
            (await client.execute(bt.RegisterSubnet(), world.owner)).raise_for_failure()
            after = await client.balances.get(world.owner.coldkey.ss58_address)
            assert before.rao - after.rao == 1_000 * 10**9 + 100_000
            second = await client.execute(bt.RegisterSubnet(), world.validator)
            early = await client.execute(bt.StartCall(netuid=1), world.owner)
            (await client.execute(bt.BurnedRegister(netuid=1), world.miner)).raise_for_failure()
            stake = bt.AddStake(netuid=1, hotkey_ss58=world.miner.hotkey.ss58_address, amount_tao=1)
            closed = await client.execute(stake, world.miner)
            assert [r.error.name for r in (second, early, closed)] == [
                "NetworkTxRateLimitExceeded",
                "NeedWaitingMoreBlocksToStarCall",
                "SubtokenDisabled",
            ]
            with pytest.raises(bt.ChainError) as waiting:
                await client.execute(bt.SetWeights(netuid=1, weights={0: 1}), world.miner)
            assert "rate limit is 100 blocks" in str(waiting.value)

    asyncio.run(story())
