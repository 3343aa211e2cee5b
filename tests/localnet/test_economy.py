"""Money and permits: what an epoch pays, what it withholds, and what registration costs."""

import bittensor as bt
from eth_account import Account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localnet.epoch import run_epoch
from localnet.genesis import Genesis, NeuronSeed, SubnetSeed, create_chain
from localnet.ledger import alpha_of, pool_of
from localnet.store import State
from localnet.subnets import burn_price
from localnet.substrate import LocalSubstrate

RAO = 10**9


def seeded(**overrides) -> Genesis:
    """A chain born with one subnet: Alice owns it, Bob validates, Charlie and Dave mine."""
    neurons = (
        NeuronSeed(hotkey="//Bob//hot", coldkey="//Bob", stake_rao=100 * RAO),
        NeuronSeed(hotkey="//Charlie//hot", coldkey="//Charlie"),
        NeuronSeed(hotkey="//Dave//hot", coldkey="//Dave"),
    )
    subnet = SubnetSeed(owner_hotkey="//Alice//hot", owner_coldkey="//Alice", neurons=neurons)
    return Genesis.preset("dev", **{"block_time_s": 0, "subnets": (subnet,), **overrides})


def total_alpha(state: State) -> int:
    return sum(value for key, value in state.items("TotalHotkeyAlpha") if key[1] == 1)


def read(substrate: LocalSubstrate, query):
    return substrate.chain.read(None, query)


def test_a_seeded_chain_starts_with_permits(tmp_path):
    create_chain(tmp_path / "c.db", seeded())
    substrate = LocalSubstrate(tmp_path / "c.db")
    permits = read(substrate, lambda state: state.get("ValidatorPermit", 1))
    assert permits == [True, True, False, False]
    create_chain(tmp_path / "d.db", seeded(run_epoch=False))
    permits = read(LocalSubstrate(tmp_path / "d.db"), lambda state: state.get("ValidatorPermit", 1))
    assert permits == [False] * 4


def test_emission_goes_41_41_18(world):
    async def story(client):
        await world.found(client)
        (await client.execute(bt.SetWeights(netuid=1, weights={2: 1}), world.validator)).raise_for_failure()
        status = await client.epochs.epoch_status(1)
        before = await client.subnets.metagraph(1)
        world.substrate.advance(status["blocks_remaining"])
        after = await client.subnets.metagraph(1)
        gained = [b.alpha_stake.rao - a.alpha_stake.rao for a, b in zip(before, after, strict=True)]
        total = 20 * RAO
        cut = total * 11_796 // 65_535
        assert gained[0] == cut
        assert gained[1] in (gained[2], gained[2] + 1)
        assert total - 2 <= sum(gained) <= total

    world.run(story)


def test_weight_on_the_owner_burns(world):
    async def story(client):
        await world.found(client)
        (await client.execute(bt.SetWeights(netuid=1, weights={0: 1}), world.validator)).raise_for_failure()
        status = await client.epochs.epoch_status(1)
        before = await client.subnets.metagraph(1)
        burned = read(world.substrate, lambda state: state.get("AlphaAssets.AlphaBurned", 1))
        world.substrate.advance(status["blocks_remaining"])
        after = await client.subnets.metagraph(1)
        gained = [b.alpha_stake.rao - a.alpha_stake.rao for a, b in zip(before, after, strict=True)]
        cut = 20 * RAO * 11_796 // 65_535
        withheld = read(world.substrate, lambda state: state.get("AlphaAssets.AlphaBurned", 1)) - burned
        assert after.neuron(0).incentive == 1.0
        assert gained == [cut, (20 * RAO - cut) // 2, 0]
        assert withheld == 20 * RAO - sum(gained)

    world.run(story)


def test_the_first_epoch_grants_permits_and_silence_ends_a_vote(make_world):
    world = make_world(activity_cutoff_factor_milli=1_000, immunity_period=10)

    async def story(client):
        await world.found(client)
        (await client.execute(bt.SetWeights(netuid=1, weights={2: 1}), world.validator)).raise_for_failure()
        world.substrate.advance(20)
        voted = await client.subnets.metagraph(1)
        world.substrate.advance(60)
        silent = await client.subnets.metagraph(1)
        assert (voted.neuron(2).incentive, voted.neuron(1).active) == (1.0, True)
        assert (silent.neuron(2).incentive, silent.neuron(1).active) == (0.0, False)

    world.run(story)


def test_a_delegator_earns_beside_the_validator(world):
    async def story(client):
        await world.found(client)
        stake = bt.AddStake(netuid=1, hotkey_ss58=world.validator.hotkey.ss58_address, amount_tao=300)
        (await client.execute(stake, world.miner)).raise_for_failure()
        hotkey, coldkeys = world.validator.hotkey.ss58_address, [world.validator, world.miner]

        async def stakes():
            return [(await client.staking.get(w.coldkey.ss58_address, hotkey, 1)).rao for w in coldkeys]

        before = await stakes()
        world.substrate.advance(20)
        own, delegated = (b - a for a, b in zip(before, await stakes(), strict=True))
        share = before[1] / sum(before)
        assert abs(delegated / (own + delegated) - share * (1 - 11_796 / 65_535)) < 1e-6

    world.run(story)


def test_registration_price_rises_and_halves(make_world):
    world = make_world(burn_half_life=40)

    async def story(client):
        (await client.execute(bt.RegisterSubnet(), world.owner)).raise_for_failure()
        first = (await client.subnets.burn(1)).rao
        (await client.execute(bt.BurnedRegister(netuid=1), world.miner)).raise_for_failure()
        raised = (await client.subnets.burn(1)).rao
        world.substrate.advance(40)
        assert abs(raised - first * 1.26) < first * 0.05
        assert abs((await client.subnets.burn(1)).rao - raised / 2) <= 1
        world.substrate.advance(400)
        assert (await client.subnets.burn(1)).rao == 500_000

    world.run(story)


def test_a_full_subnet_prunes_the_least_paid_and_forgets_it(make_world):
    world = make_world(max_uids=3, immunity_period=1, min_non_immune_uids=0)

    async def story(client):
        await world.found(client)
        info = {"fields": [[{"Raw1": b"x"}]]}
        call = bt.calls.Commitments.set_commitment(netuid=1, info=info)
        (await client.submit_call(call, world.miner, signer="hotkey")).raise_for_failure()
        (await client.execute(bt.SetWeights(netuid=1, weights={2: 1}), world.validator)).raise_for_failure()
        newcomer = type(world.miner)(world.miner.coldkey, bt.sp_core.Keypair.create_from_uri("//New"))
        (await client.execute(bt.BurnedRegister(netuid=1), newcomer)).raise_for_failure()
        graph = await client.subnets.metagraph(1)
        assert graph.hotkeys[2] == newcomer.hotkey.ss58_address
        assert list(graph.unregistered_commitments) == [world.miner.hotkey.ss58_address]
        assert await client.query(bt.storage.SubtensorModule.Weights, [1, 1]) == []
        assert await client.neurons.uid(world.miner.hotkey.ss58_address, 1) is None

    world.run(story)


def test_a_dynamic_pool_has_slippage(make_world):
    world = make_world(dynamic_pool=True, lock_cost_rao=1_000 * RAO)

    async def story(client):
        (await client.execute(bt.RegisterSubnet(), world.owner)).raise_for_failure()
        (await client.execute(bt.StartCall(netuid=1), world.owner)).raise_for_failure()
        hotkey = world.owner.hotkey.ss58_address
        greedy = await client.execute(bt.AddStake(netuid=1, hotkey_ss58=hotkey, amount_tao=500), world.owner)
        small = await client.execute(bt.AddStake(netuid=1, hotkey_ss58=hotkey, amount_tao=10), world.owner)
        assert (greedy.error.name, small.success) == ("SlippageTooHigh", True)
        tao, alpha = read(world.substrate, lambda state: pool_of(state, 1))
        held = read(world.substrate, lambda state: alpha_of(state, hotkey, 1))
        assert (tao, alpha + held) == (1_010 * RAO, 1_000 * RAO)
        out = bt.RemoveStake(netuid=1, hotkey_ss58=hotkey, amount_alpha="all")
        assert (await client.execute(out, world.owner)).success
        assert read(world.substrate, lambda state: alpha_of(state, hotkey, 1)) == 0

    world.run(story)


def test_an_owner_sets_hyperparameters_within_their_limits(make_world):
    world = make_world(owner_hyperparam_tempos=2, admin_freeze_window=3)

    async def story(client):
        await world.found(client)

        def setting(name, value):
            return bt.SetHyperparameter(netuid=1, name=name, value=value)

        assert (await client.execute(setting("min_allowed_weights", 2), world.owner)).success
        again = await client.execute(setting("min_allowed_weights", 3), world.owner)
        other = await client.execute(setting("immunity_period", 50), world.owner)
        sealed = await client.execute(setting("commit_reveal_weights_enabled", True), world.owner)
        assert (again.error.name, other.success, sealed.error.name) == (
            "TxRateLimitExceeded",
            True,
            "InvalidValue",
        )
        hyper = await client.read("subnet_hyperparameters", netuid=1)
        assert (hyper["min_allowed_weights"], hyper["immunity_period"]) == (2, 50)
        world.substrate.advance((await client.epochs.epoch_status(1))["blocks_remaining"] - 3)
        frozen = await client.execute(setting("max_burn", 10**9), world.owner)
        assert frozen.error.name == "AdminActionProhibitedDuringWeightsWindow"

    world.run(story)


def test_an_evm_key_proves_itself(world):
    async def story(client):
        await world.found(client)
        account, thief = Account.create(), Account.create()
        hotkey = world.validator.hotkey.ss58_address
        signature, block = bt.evm.association_proof(account, hotkey, await client.block())

        def associate(address):
            return bt.AssociateEvmKey(netuid=1, evm_key=address, block_number=block, signature=signature)

        stolen = await client.execute(associate(thief.address), world.validator)
        proved = await client.execute(associate(account.address), world.validator)
        assert (stolen.success, proved.success) == (False, True)
        link = await client.neurons.associated_evm_key(1, 1)
        assert link["evm_address"] == account.address.lower()

    world.run(story)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(st.integers(0, 65_535), min_size=4, max_size=4), min_size=4, max_size=4),
    blocks=st.integers(1, 1_000),
    yuma3=st.booleans(),
)
def test_emission_is_conserved_whatever_the_weights(tmp_path_factory, rows, blocks, yuma3):
    path = tmp_path_factory.mktemp("chain") / "c.db"
    create_chain(path, seeded(yuma3=yuma3))
    substrate = LocalSubstrate(path)
    substrate.advance(1)

    def act(_head: State) -> tuple[int, int, int]:
        state = State(_head.db, 1 + blocks, _head.genesis)
        for uid, row in enumerate(rows):
            state.put("Weights", [[target, value] for target, value in enumerate(row) if value], 1, uid)
        state.put("LastUpdate", [1] * 4, 1)
        before, burned = total_alpha(state), int(state.get("AlphaAssets.AlphaBurned", 1, default=0))
        run_epoch(state, 1)
        return blocks + 1, total_alpha(state) - before, state.get("AlphaAssets.AlphaBurned", 1) - burned

    emitted_blocks, paid, withheld = read(substrate, act)
    assert paid + withheld == emitted_blocks * RAO
    assert paid >= 0 and withheld >= 0
    assert read(substrate, lambda state: burn_price(state, 1)) > 0


def test_at_most_two_epochs_share_a_block(tmp_path):
    subnets = tuple(
        SubnetSeed(owner_hotkey=f"//Alice//{n}", owner_coldkey="//Alice", owner_stake_rao=RAO)
        for n in range(3)
    )
    create_chain(tmp_path / "c.db", Genesis.preset("dev", block_time_s=0, subnets=subnets))
    substrate = LocalSubstrate(tmp_path / "c.db")
    substrate.advance(21)
    last = read(substrate, lambda state: [state.get("LastEpochBlock", netuid) for netuid in (1, 2, 3)])
    assert last == [20, 20, 21]


def test_tao_on_root_weighs_less_than_alpha(world):
    async def story(client):
        await world.found(client)
        hotkey = world.miner.hotkey.ss58_address
        for netuid in (0, 1):
            stake = bt.AddStake(netuid=netuid, hotkey_ss58=hotkey, amount_tao=100)
            (await client.execute(stake, world.miner)).raise_for_failure()
        neuron = (await client.subnets.metagraph(1)).by_hotkey(hotkey)
        alpha, tao, total = (b.rao for b in (neuron.alpha_stake, neuron.tao_stake, neuron.total_stake))
        assert (alpha, tao, total) == (100 * RAO, 100 * RAO, 118 * RAO)

    world.run(story)


def test_an_epoch_can_be_waited_for(make_world):
    world = make_world(block_time_s=0.01, tempo=10)

    async def story(client):
        (await client.execute(bt.RegisterSubnet(), world.owner)).raise_for_failure()
        event = await client.wait_for_epoch(1, timeout=60)
        assert (event.netuid, event.block - event.previous) == (1, 10)

    world.run(story)
