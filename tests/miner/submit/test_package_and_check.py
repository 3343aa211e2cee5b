"""Packaging leaves out what no checkpoint may have; checking lists every fault at once."""

from __future__ import annotations

import json
from typing import Any

from shared.checkpoints.manifest import build_manifest, load_manifest


def test_a_package_holds_the_allowed_files_and_their_manifest(world: Any) -> None:
    document = world.run_json("package", world.checkpoint, "--out", world.root / "out")
    assert document == {
        "path": str(world.root / "out"),
        "digest": build_manifest(world.root / "out").digest,
        "bytes": build_manifest(world.root / "out").total_bytes,
        "files": ["config.json", "model.safetensors"],
        "left_out": ["optimizer.pt"],
    }
    assert load_manifest(world.root / "out").digest == document["digest"]


def test_packaging_again_gives_the_same_package(world: Any) -> None:
    first = world.run_json("package", world.checkpoint, "--out", world.root / "out")
    assert world.run_json("package", world.checkpoint, "--out", world.root / "out") == first
    assert (
        world.run_json("package", world.root / "out", "--out", world.root / "copy")["digest"]
        == first["digest"]
    )


def test_a_package_does_not_change_with_its_source(world: Any) -> None:
    package = world.package
    digest = load_manifest(package).digest
    with (world.checkpoint / "model.safetensors").open("r+b") as file:
        file.write(b"overwritten in place")
    assert build_manifest(package).digest == digest


def test_nothing_but_a_package_is_written_over(world: Any) -> None:
    (world.root / "thesis").mkdir()
    (world.root / "thesis" / "README.md").write_text("years of work")
    result = world.run("package", world.checkpoint, "--out", world.root / "thesis")
    assert (result.exit_code, "usage" in result.stderr) == (2, True)
    assert (world.root / "thesis" / "README.md").read_text() == "years of work"


def test_a_checkpoint_without_safetensors_cannot_be_packaged(world: Any) -> None:
    (world.checkpoint / "model.safetensors").unlink()
    (world.checkpoint / "pytorch_model.bin").write_bytes(b"pickle")
    result = world.run("package", world.checkpoint, "--out", world.root / "out")
    assert result.exit_code == 1
    assert "error: architecture_mismatch" in result.stderr
    assert not (world.root / "out").exists()


def test_lineage_is_taken_from_the_trainer_s_file(world: Any) -> None:
    lineage = {"parent": world.rules.base.digest, "recipe": "dpo", "config": world.rules.digest}
    (world.checkpoint / "lineage.json").write_text(json.dumps(lineage))
    document = world.run_json("package", world.checkpoint, "--out", world.root / "out")
    assert document["left_out"] == ["optimizer.pt"]
    assert load_manifest(world.root / "out").lineage.model_dump() == lineage
    (world.checkpoint / "lineage.json").write_text("{}")
    result = world.run("package", world.checkpoint, "--out", world.root / "out")
    assert "error: data_invalid" in result.stderr


def test_a_sound_package_passes(world: Any) -> None:
    assert world.run_json("check", world.package) == {
        "ok": True,
        "digest": load_manifest(world.package).digest,
        "findings": [],
    }


def test_all_faults_are_listed_at_once_with_exit_code_3(world: Any, spoil: Any) -> None:
    spoil(world.checkpoint)
    result = world.run("check", world.checkpoint, "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert [finding["code"] for finding in document["findings"]] == [
        "file_forbidden",
        "config_forbidden",
        "config_forbidden",
        "architecture_mismatch",
        "non_finite_weights",
    ]
    people = world.run("check", world.checkpoint)
    assert people.exit_code == 3
    assert people.stdout.startswith("file_forbidden: 'optimizer.pt' is a pickle")
    assert people.stderr == "5 findings: a validator would refuse this checkpoint\n"


def test_a_package_changed_afterwards_is_found(world: Any) -> None:
    (world.package / "config.json").write_text('{"architectures":["LlamaForCausalLM"],"x":1}')
    result = world.run("check", world.package, "--json")
    assert [finding["code"] for finding in json.loads(result.stdout)["findings"]] == ["digest_mismatch"]


def test_a_link_in_the_checkpoint_is_a_finding(world: Any) -> None:
    (world.checkpoint / "tokenizer.json").symlink_to("/etc/passwd")
    result = world.run("check", world.checkpoint, "--json")
    assert [finding["code"] for finding in json.loads(result.stdout)["findings"]] == ["file_forbidden"]


def test_check_wants_a_bundle(world: Any) -> None:
    env = {**world.env, "AGON_BUNDLE": ""}
    result = type(world)(world.root, world.settings, world.rules, env).run("check", world.package)
    assert result.exit_code == 2
    assert "error: settings_invalid: no bundle was named" in result.stderr
