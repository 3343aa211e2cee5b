"""Submitting: one commitment whatever crashes, and no file readable before the round has closed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import miner.submit.request
from miner.submit.journal import Journal, load_journal
from shared.chain.commitment import commitment_digest
from shared.checkpoints.manifest import build_manifest, load_manifest


def _files(root: Path) -> dict[str, bytes]:
    skip = {"chain.db", "chain.db-wal", "chain.db-shm"}
    return {str(p): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name not in skip}


def _submit(world: Any, *more: str) -> Any:
    return world.run("submit", world.package, "--locator", "file:mine", *more)


def test_a_dry_run_shows_all_and_writes_nothing(world: Any) -> None:
    package, head = world.package, world.head()
    before = _files(world.root)
    document = world.run_json("submit", package, "--locator", "file:mine", "--dry-run")
    manifest = load_manifest(package)
    digest = commitment_digest(world.rules.digest, manifest.digest, world.hotkey)
    text = document.pop("commitment")
    assert text.startswith("agon1:") and text.endswith(":file:mine")
    assert document == {
        "dry_run": "nothing was sent or written",
        "manifest": manifest.digest,
        "files": 2,
        "bytes": manifest.total_bytes,
        "digest": digest,
        "commitment_bytes": len(text),
        "cost_tao": "0",
        "head": head,
        "round": 0,
        "close_block": 19,
        "readable_until_block": 25,
    }
    assert (_files(world.root), world.head(), world.commits()) == (before, head, 0)
    assert not world.settings.store.exists()


def test_files_open_only_after_the_close(world: Any) -> None:
    first = _submit(world, "--no-wait", "--json")
    document = json.loads(first.stdout)
    assert (first.exit_code, document["state"], document["round"]) == (0, "finalised", 0)
    assert document["next"].startswith("agon-miner submit --resume -n embedded --netuid 1")
    assert list(world.settings.store.iterdir()) == []
    world.advance_to(document["close_block"] - 1)
    assert world.run_json("submit", "--resume", "--no-wait")["state"] == "finalised"
    assert list(world.settings.store.iterdir()) == []
    world.advance_to(document["close_block"])
    done = world.run_json("submit", "--resume", "--no-wait")
    assert done["state"] == "verified"
    assert build_manifest(world.settings.store / "mine") == load_manifest(world.package)
    assert world.commits() == 1


def test_submit_waits_for_the_close_by_itself(make_world: Any) -> None:
    world = make_world(block_time_s=0.05)
    result = _submit(world, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["state"]) == (0, "verified")
    assert document["commit_block"] <= document["close_block"] <= world.head()
    assert load_journal(world.journal).state == "verified"


class _Crash(Exception):
    """The process dies here."""


@pytest.mark.parametrize("written", [True, False], ids=["after the write", "before the write"])
@pytest.mark.parametrize(
    "step", ["planned", "prepared", "committed", "finalised", "slotted", "published", "verified"]
)
def test_a_crash_at_any_step_leaves_one_commitment(
    world: Any, monkeypatch: pytest.MonkeyPatch, step: str, written: bool
) -> None:
    world.run_json("submit", world.package, "--locator", "file:mine", "--dry-run")
    real = miner.submit.request.save_journal

    def crash(path: Path, journal: Journal) -> None:
        if journal.state == "finalised":
            world.advance_to(journal.close_block)
        if journal.state != step:
            real(path, journal)
            return
        if written:
            real(path, journal)
        raise _Crash

    with monkeypatch.context() as patch:
        patch.setattr(miner.submit.request, "save_journal", crash)
        assert isinstance(_submit(world).exception, _Crash)
    resumed = _submit(world, "--no-wait") if not world.journal.exists() else None
    assert resumed is None or (step, written) == ("planned", False)
    document = world.run_json("submit", "--resume", "--no-wait")
    world.advance_to(document["close_block"])
    assert world.run_json("submit", "--resume")["state"] == "verified"
    assert world.commits() == 1
    assert build_manifest(world.settings.store / "mine") == load_manifest(world.package)


def test_the_same_command_again_resumes_and_then_does_nothing(world: Any) -> None:
    assert json.loads(_submit(world, "--no-wait", "--json").stdout)["state"] == "finalised"
    world.advance_to(19)
    first = json.loads(_submit(world, "--json").stdout)
    again = json.loads(_submit(world, "--json").stdout)
    assert (first["state"], again) == ("verified", first)
    assert world.commits() == 1


def test_a_lost_journal_is_rebuilt_from_the_chain(world: Any) -> None:
    first = json.loads(_submit(world, "--no-wait", "--json").stdout)
    world.journal.unlink()
    world.advance_to(first["close_block"])
    again = json.loads(_submit(world, "--json").stdout)
    assert (again["state"], again["commit_block"]) == ("verified", first["commit_block"])
    assert world.commits() == 1


def test_replace_commits_anew(world: Any) -> None:
    first = json.loads(_submit(world, "--no-wait", "--json").stdout)
    second = json.loads(_submit(world, "--no-wait", "--replace", "--json").stdout)
    assert second["commit_block"] > first["commit_block"]
    assert world.commits() == 2


def test_another_checkpoint_does_not_silently_take_the_place(world: Any) -> None:
    _submit(world, "--no-wait")
    (world.checkpoint / "README.md").write_text("second")
    world.run_json("package", world.checkpoint, "--out", world.root / "second")
    result = world.run("submit", world.root / "second", "--locator", "file:second", "--no-wait")
    assert result.exit_code == 1
    assert "error: submission_open" in result.stderr
    assert world.commits() == 1
    replaced = world.run(
        "submit", world.root / "second", "--locator", "file:second", "--no-wait", "--replace"
    )
    assert (replaced.exit_code, world.commits()) == (0, 2)


def test_a_faulty_checkpoint_is_never_committed(world: Any, spoil: Any) -> None:
    spoil(world.checkpoint)
    result = _submit(world, "--json")
    assert result.exit_code == 3
    assert {finding["code"] for finding in json.loads(result.stdout)["findings"]} >= {"non_finite_weights"}
    assert (world.commits(), world.journal.exists()) == (0, False)


def test_a_package_changed_after_the_commit_is_not_published(world: Any) -> None:
    _submit(world, "--no-wait")
    world.advance_to(19)
    (world.package / "config.json").write_text('{"architectures":["LlamaForCausalLM"],"x":1}')
    result = world.run("submit", "--resume")
    assert result.exit_code == 1
    assert "error: digest_mismatch" in result.stderr
    assert not (world.settings.store / "mine" / "manifest.json").exists()


def test_an_unregistered_hotkey_commits_nothing(bare_world: Any) -> None:
    result = _submit(bare_world)
    assert result.exit_code == 1
    assert "error: not_registered" in result.stderr
    assert not bare_world.journal.exists()


@pytest.mark.parametrize("locator", ["hf://org", "file:../up", "nonsense"])
def test_locators_that_nobody_could_read_are_refused(world: Any, locator: str) -> None:
    result = world.run("submit", world.package, "--locator", locator)
    assert result.exit_code == 1
    assert "error: locator_invalid" in result.stderr
    assert world.commits() == 0


def test_an_unpackaged_checkpoint_is_refused(world: Any) -> None:
    result = world.run("submit", world.checkpoint, "--locator", "file:mine")
    assert result.exit_code == 1
    assert "error: manifest_invalid" in result.stderr


def test_usage_without_checkpoint_or_anything_to_resume(world: Any) -> None:
    assert world.run("submit").exit_code == 2
    result = world.run("submit", "--resume")
    assert (result.exit_code, "error: not_found" in result.stderr) == (1, True)


def test_a_journal_of_another_chain_is_not_resumed(world: Any) -> None:
    _submit(world, "--no-wait")
    journal = load_journal(world.journal)
    world.journal.write_text(journal.model_copy(update={"genesis": "0xother"}).model_dump_json())
    result = world.run("submit", "--resume")
    assert (result.exit_code, "error: chain_mismatch" in result.stderr) == (1, True)


def test_a_damaged_journal_is_named(world: Any) -> None:
    world.journal.parent.mkdir(parents=True)
    world.journal.write_text("{")
    result = _submit(world)
    assert (result.exit_code, "error: data_invalid" in result.stderr) == (1, True)


def test_a_commitment_replaced_elsewhere_is_noticed(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = miner.submit.request.save_journal

    def crash(path: Path, journal: Journal) -> None:
        real(path, journal)
        if journal.state == "committed":
            raise _Crash

    with monkeypatch.context() as patch:
        patch.setattr(miner.submit.request, "save_journal", crash)
        _submit(world)
    kept = world.journal.read_bytes()
    _submit(world, "--replace", "--no-wait")
    (world.checkpoint / "README.md").write_text("other")
    world.run_json("package", world.checkpoint, "--out", world.root / "other")
    world.run("submit", world.root / "other", "--locator", "file:other", "--no-wait", "--replace")
    world.journal.write_bytes(kept)
    result = world.run("submit", "--resume")
    assert (result.exit_code, "error: commitment_mismatch" in result.stderr) == (1, True)
