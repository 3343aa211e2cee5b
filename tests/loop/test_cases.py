"""What miners get wrong or try, on real parts: each is recorded where it belongs and stops nobody else."""

from __future__ import annotations

import asyncio
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sqlalchemy import select

from shared.chain.commitment import Locator, commitment_digest, encode_commitment
from shared.chain.records import Neuron
from shared.checkpoints.bundle import write_pool, write_rules
from shared.checkpoints.manifest import build_manifest
from shared.checkpoints.stores import FileStore
from shared.errors import AgonError
from shared.protocol.competition import Competition
from validator.ledger.tables import DuelPromptRow, DuelRow, EventRow, RecordRow, SubmissionRow, WeightSetRow
from validator.loop import run_once
from validator.stages.weights import vector_of

pytestmark = pytest.mark.torch

WEIGHTS = "model.safetensors"


def changed(base: Path, target: Path, change: Any) -> Path:
    """A checkpoint whose tensors are the base's after `change(name, values)`."""
    target.mkdir()
    tensors = {name: change(name, value) for name, value in load_file(base / WEIGHTS).items()}
    save_file(tensors, target / WEIGHTS, metadata={"format": "pt"})
    return target


async def outcomes(arena: Any, context: Any) -> dict[str, tuple[str, str | None]]:
    """State and code of every hotkey's newest submission."""
    return {row.hotkey: (row.state, row.code) for row in await arena.all_of(context, SubmissionRow)}


def test_bad_submissions_are_rejected_with_their_codes_and_nobody_waits_for_them(
    arena: Any, tiny_base: Path, tmp_path: Path
) -> None:
    asyncio.run(_play_bad(arena, tiny_base, tmp_path))


async def _play_bad(arena: Any, base: Path, tmp: Path) -> None:
    rng = np.random.default_rng(1)
    near = changed(base, tmp / "near", lambda _, v: v + rng.normal(0, 1e-7, v.shape).astype(v.dtype))
    away = changed(base, tmp / "away", lambda _, v: v * np.float32(1.0001))
    broken = changed(base, tmp / "nan", lambda _, v: np.full_like(v, np.nan) if v.ndim == 1 else v)
    small = changed(base, tmp / "small", lambda _, v: v[:-1].copy())
    who = {role: arena.hotkey(role) for role in ("first", "second", "third", "fourth", "fifth", "validator")}
    await arena.commit("first", "agon1:nonsense")
    await arena.submit("second", near)
    flip_last_byte(arena.settings.store / "second" / WEIGHTS)
    await arena.submit("third", broken)
    await arena.submit("fourth", small)
    await commit_pickle(arena, "fifth", near, tmp / "pickle")
    arena.close_round(0)
    async with arena.context() as context:
        arena.advance(2)
        await run_once(context)
        assert await outcomes(arena, context) == {
            who["first"]: ("rejected", "malformed_commitment"),
            who["second"]: ("rejected", "digest_mismatch"),
            who["third"]: ("rejected", "non_finite_weights"),
            who["fourth"]: ("rejected", "architecture_mismatch"),
            who["fifth"]: ("waiting", None),
        }
        arena.advance(1)
        await run_once(context)
        (weights,) = await arena.all_of(context, WeightSetRow)
        assert (weights.state, weights.vector) == ("confirmed", {arena.hotkey("owner"): 1.0})
        await arena.submit("first", away, publish=False)
        await arena.submit("validator", near, publish=False)
        arena.close_round(1)
        await run_once(context)
        found = await outcomes(arena, context)
        assert found[who["fifth"]] == ("rejected", "file_forbidden")
        assert {found[who["first"]][0], found[who["validator"]][0]} == {"slotted"}
        arena.publish("validator", arena.pack("validator", near))
        arena.advance(1)
        await run_once(context)
        assert (await outcomes(arena, context))[who["validator"]] == ("admitted", None)
        arena.advance(arena.rules.schedule.fetch_blocks + 1)
        await run_once(context)
        assert (await outcomes(arena, context))[who["first"]] == ("withheld", "withheld")
        (duel,) = await arena.all_of(context, DuelRow)
        assert (duel.verdict["outcome"], duel.verdict["reason"]) == ("unproven", "indistinguishable")
        second_round = [row for row in await arena.all_of(context, SubmissionRow) if row.round == 1]
        ranks = {row.hotkey: (row.round, row.rank) for row in second_round}
        assert ranks == {who["fifth"]: (1, 0), who["first"]: (1, 1), who["validator"]: (1, 2)}
        assert await arena.all_of(context, RecordRow) == []


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


async def commit_pickle(arena: Any, role: str, weights: Path, target: Path) -> None:
    """Commit to a checkpoint that carries a pickle, made without the packaging that would leave it out."""
    shutil.copytree(weights, target)
    (target / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    manifest = build_manifest(target)
    FileStore(arena.settings.store, role).publish(target, manifest)
    digest = commitment_digest(arena.rules.digest, manifest.digest, arena.hotkey(role))
    await arena.commit(role, encode_commitment(digest, Locator("file", role)))


def test_two_winners_one_crown_and_a_judge_that_breaks_counts_against_nobody(
    arena: Any, better: Path, tmp_path: Path
) -> None:
    asyncio.run(_play_winners(arena, better, tmp_path))


async def _play_winners(arena: Any, better: Path, tmp: Path) -> None:
    twin = changed(better, tmp / "twin", lambda _, v: (v * 1.001).astype(v.dtype))
    await arena.submit("first", better)
    await arena.submit("second", twin)
    await arena.submit("third", better)
    first, second, third = (arena.hotkey(role) for role in ("first", "second", "third"))
    arena.close_round(0)
    async with arena.context() as context:
        judge, hidden = arena.bundle.judges["held-out"], tmp / "hidden"
        judge.rename(hidden)
        for wait in (2, 2, 4, 8, 16):
            arena.advance(wait)
            await run_once(context)
        found = {row.hotkey: (row.state, row.fault) for row in await arena.all_of(context, SubmissionRow)}
        assert found == {
            first: ("parked", "validator"),
            second: ("parked", "validator"),
            third: ("rejected", "miner"),
        }
        copied = {row.hotkey: row.message for row in await arena.all_of(context, SubmissionRow)}[third]
        assert first in copied
        hidden.rename(judge)
        arena.close_round(1)
        arena.advance(40)
        await run_once(context)
        (record,) = await arena.all_of(context, RecordRow)
        assert (record.hotkey, record.round) == (first, 1)
        shutil.rmtree(context.checkpoint_of(record.model))  # a cache: it is fetched again
        alphas = set()
        for number in (2, 3):  # a duel that stays open is carried once, on fresh prompts
            arena.close_round(number)
            arena.advance(2)
            await run_once(context)
            duels = {(duel.hotkey, duel.champion): duel for duel in await arena.all_of(context, DuelRow)}
            alphas.add(duels[second, record.model].alpha)
        again = duels[second, record.model]
        assert (again.verdict["outcome"], len(alphas)) == ("unproven", 1)
        assert [row.hotkey for row in await arena.all_of(context, RecordRow)] == [first]
        check_rows(await arena.all_of(context, DuelPromptRow))


def check_rows(rows: list[DuelPromptRow]) -> None:
    """Rows of a duel are a prefix of distinct prompts, and no two rounds share a prompt."""
    rounds: dict[str, set[int]] = {}
    for row in rows:
        rounds.setdefault(row.prompt, set()).add(row.round)
    assert all(len(numbers) == 1 for numbers in rounds.values())
    for duel in {row.duel for row in rows}:
        mine = [row for row in rows if row.duel == duel]
        assert [row.position for row in mine] == list(range(len(mine)))
        assert len({row.prompt for row in mine}) == len(mine)


def test_without_a_permit_weights_wait_and_say_why(arena: Any) -> None:
    arena.settings = arena.settings.model_copy(update={"wallet": "first"})

    async def play() -> list[Any]:
        async with arena.context() as context:
            await run_once(context)
            assert await arena.all_of(context, WeightSetRow) == []
            query = select(EventRow.body).where(EventRow.kind == "weights.waiting")
            return await context.ledger.do(lambda session: list(session.scalars(query)))

    arena.advance(10)
    (waiting,) = asyncio.run(play())
    assert "permit" in waiting["reason"]


def test_another_chain_behind_the_same_ledger_is_refused(arena: Any, template: Any) -> None:
    async def play() -> None:
        async with arena.context() as context:
            await run_once(context)

    arena.close_round(0)
    asyncio.run(play())
    shutil.copy(template.settings.localnet, arena.settings.localnet)
    asyncio.run(arena.commit("first", "the same genesis, another history"))
    arena.close_round(0)
    with pytest.raises(AgonError) as caught:
        asyncio.run(play())
    assert caught.value.code == "chain_mismatch"


def test_a_pool_that_cannot_fill_a_round_is_refused_at_start(arena: Any) -> None:
    rules = arena.rules.model_dump(mode="json")
    name = rules["slices"][0]["name"]
    few = arena.bundle.pools[name][:10]
    rules["slices"][0]["pool"] = write_pool(arena.root / "bundle", name, few).model_dump(mode="json")
    write_rules(arena.root / "bundle", Competition.model_validate(rules))

    async def play() -> None:
        async with arena.context():
            raise AssertionError("a context without prompts was opened")

    with pytest.raises(AgonError) as caught:
        asyncio.run(play())
    assert caught.value.code == "pool_too_small"


def test_the_share_of_a_hotkey_that_left_burns_and_raises_nobody_s_pay() -> None:
    def neuron(uid: int, hotkey: str) -> Neuron:
        return Neuron(uid, hotkey, "5C", 0, False, True, 0, 0, 0.0, 0.0, 0)

    rules = type("Rules", (), {"full_gain": 0.1, "half_life_rounds": 5})
    gains = {"5A": 0.05, "5B": 0.02}
    records = [RecordRow(duel=hotkey, hotkey=hotkey, round=3, gain=gain) for hotkey, gain in gains.items()]
    both = vector_of(records, rules, 3, [neuron(0, "5O"), neuron(1, "5A"), neuron(2, "5B")], "5O")
    one = vector_of(records, rules, 3, [neuron(0, "5O"), neuron(1, "5X"), neuron(2, "5B")], "5O")
    assert both.shares == pytest.approx({"5A": 0.5, "5B": 0.2, "5O": 0.3})
    assert one.shares == pytest.approx({"5B": 0.2, "5O": 0.8})
    assert one.uids == {0: 65535, 2: 16384}
