"""The whole life of a small subnet, told through the SDK's own client."""

import bittensor as bt


def commit(text: bytes) -> object:
    info = {"fields": [[{f"Raw{len(text)}": text}]]}
    return bt.calls.Commitments.set_commitment(netuid=1, info=info)


def test_a_subnet_lives_from_registration_to_paid_incentive(world):
    async def story(client):
        registered = await client.execute(bt.RegisterSubnet(), world.owner)
        started = await client.execute(bt.StartCall(netuid=1), world.owner)
        joined = [
            await client.execute(bt.BurnedRegister(netuid=1), w) for w in (world.validator, world.miner)
        ]
        again = await client.execute(bt.BurnedRegister(netuid=1), world.miner)
        stake = bt.AddStake(netuid=1, hotkey_ss58=world.validator.hotkey.ss58_address, amount_tao=100)
        staked = await client.execute(stake, world.validator)
        served = await client.execute(bt.ServeAxon(netuid=1, ip="10.0.0.1", port=8091), world.validator)
        committed = await client.submit_call(commit(b"hello"), world.miner, signer="hotkey")

        assert all(r.success for r in (registered, started, *joined, staked, served, committed))
        assert registered.data["netuid"] == 1
        assert [r.data["shielded"] for r in joined] == [True, True]
        assert (again.success, again.error.name) == (False, "HotKeyAlreadyRegisteredInSubNet")
        assert again.error.code is bt.ErrorCode.ALREADY_EXISTS
        assert committed.fee.rao == 0

        before = await client.subnets.metagraph(1)
        assert [n.validator_permit for n in before] == [False, False, False]
        assert before.by_hotkey(world.miner.hotkey.ss58_address).commitment.data == "hello"
        assert before.neuron(1).axon == "10.0.0.1:8091"

        world.substrate.advance(25)
        after_epoch = await client.subnets.metagraph(1)
        assert [n.validator_permit for n in after_epoch] == [True, True, False]

        weights = await client.execute(bt.SetWeights(netuid=1, weights={0: 1, 2: 9}), world.validator)
        assert weights.success
        assert (await client.query(bt.storage.SubtensorModule.Weights, [1, 1])) == [[0, 7282], [2, 65535]]

        world.substrate.advance(25)
        paid = await client.subnets.metagraph(1)
        miner, owner = paid.neuron(2), paid.neuron(0)
        assert round(miner.incentive, 3) == 0.9
        assert (miner.total_stake.rao, owner.incentive > 0) == (miner.emission.rao, True)
        assert paid.neuron(1).dividends == 1.0

    world.run(story)


def test_a_past_block_reads_as_it_was(world):
    async def story(client):
        await world.found(client)
        then = await client.block()
        seen = [
            await client.subnets.metagraph(1),
            await client.balances.get(world.miner.coldkey.ss58_address),
        ]
        (await client.submit_call(commit(b"later"), world.miner, signer="hotkey")).raise_for_failure()
        (await client.execute(bt.SetWeights(netuid=1, weights={2: 1}), world.validator)).raise_for_failure()
        world.substrate.advance(45)
        past = await client.at(then)
        address = world.miner.coldkey.ss58_address
        assert [await past.subnets.metagraph(1), await past.balances.get(address)] == seen
        assert await client.subnets.metagraph(1) != seen[0]
        assert (await past.subnets.commitments(1), await past.weights.weights(1)) == ({}, {})

    world.run(story)


def test_every_read_the_project_uses_answers(world):
    async def story(client):
        await world.found(client)
        status = await client.epochs.epoch_status(1)
        assert status["next_epoch_start_block"] == status["last_epoch_block"] + 20
        assert [n.uid for n in await client.neurons.all(1, lite=False)] == [0, 1, 2]
        assert [s.netuid for s in await client.subnets.all()] == [0, 1]
        info = await client.subnets.info(1)
        assert (info.tempo, info.neuron_count, info.burn.rao) == (20, 3, (await client.subnets.burn(1)).rao)
        hyper = await client.read("subnet_hyperparameters", netuid=1)
        assert (hyper["tempo"], hyper["commit_reveal_weights_enabled"]) == (20, False)
        block = await client.block_info(3)
        calls = [extrinsic["call"]["call_function"] for extrinsic in block.extrinsics]
        assert calls == ["set", "submit_encrypted", "burned_register"]
        cost = await client.read("subnet_registration_cost")
        assert cost.rao > 10_000_000_000
        hotkey = world.miner.hotkey.ss58_address
        assert await client.read("hotkey_owner", hotkey_ss58=hotkey) == world.miner.coldkey.ss58_address
        assert await client.read("netuids_for_hotkey", hotkey_ss58=hotkey) == [1]
        assert await client.subnets.mechanism_count(1) == 1
        positions = await client.staking.positions(world.validator.coldkey.ss58_address)
        assert [(p.netuid, p.is_registered) for p in positions] == [(1, True)]
        assert await client.finalized_block() == await client.block()

    world.run(story)


def test_headers_come_in_order_and_link(world):
    async def story(client):
        headers = []
        first = await client.block()
        world.substrate.advance(5)
        stream = client.blocks(finalized=True)
        async for header in stream:
            headers.append(header)
            if len(headers) == 3:
                break
            world.substrate.advance(2)
        await stream.aclose()
        assert [h.number for h in headers] == [first + 5, first + 6, first + 7]
        assert headers[1].parent_hash == headers[0].raw["hash"]

    world.run(story)


def test_the_blocking_client_works_too(world):
    with bt.SyncClient("local", substrate=world.substrate) as client:
        assert client.balances.get(world.owner.coldkey.ss58_address).tao == 1_000_000
        assert client.execute(bt.RegisterSubnet(), world.owner).data["netuid"] == 1
