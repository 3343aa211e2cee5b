"""The command line: output, exit codes and errors that say what to do."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from localnet.cli import app

ROOT = Path(__file__).parents[2]


def call(*arguments: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_create_advance_and_show(tmp_path):
    path = tmp_path / "deep" / "chain.db"
    created = json.loads(call("start", "--once", "--json", "--path", path, "--block-time", "0").stdout)
    again = json.loads(call("start", "--once", "--json", "--path", path).stdout)
    assert (created["created"], again["created"]) == (True, False)
    assert json.loads(call("advance", "7", "--json", "--path", path).stdout)["head"] == 7
    shown = json.loads(call("status", "--json", "--path", path).stdout)
    assert (shown["head"], shown["genesis_hash"], shown["block_time_s"]) == (7, created["hash"], 0.0)


def test_the_environment_names_the_chain(tmp_path, monkeypatch):
    monkeypatch.setenv("AGON_LOCALNET", str(tmp_path / "env.db"))
    assert call("start", "--once").exit_code == 0
    rows = json.loads(call("accounts", "--json").stdout)
    assert [(row["name"], row["free_rao"]) for row in rows][:2] == [("//Alice", 10**15), ("//Bob", 10**15)]


def test_a_missing_chain_has_a_code_and_a_help_line(tmp_path):
    path = tmp_path / "none.db"
    for command in (("status",), ("advance", "1"), ("accounts",), ("reset", "--yes")):
        result = call(*command, "--path", path)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: no_chain: there is no chain at {path}\nhelp: create it with")
    document = json.loads(call("status", "--json", "--path", path).stdout)
    assert document["error"]["code"] == "no_chain"
    assert not path.exists()


def test_wrong_usage_is_told_apart_from_failure(tmp_path):
    path = tmp_path / "chain.db"
    unknown = call("start", "--once", "--preset", "moon", "--path", path)
    negative = call("start", "--once", "--block-time", "-1", "--path", path)
    assert (unknown.exit_code, negative.exit_code, call("advance", "0").exit_code) == (2, 2, 2)
    assert "presets are dev, mainnet-like" in unknown.stderr
    assert not path.exists()


def test_a_file_that_is_no_chain_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at as one" * 40)
    result = call("status", "--path", path)
    assert (result.exit_code, "bad_chain" in result.stderr) == (1, True)
    assert path.read_text().startswith("not a database")


def test_a_genesis_file_overrides_its_preset(tmp_path):
    file = tmp_path / "genesis.toml"
    file.write_text('preset = "dev"\nblock_time_s = 0\ntempo = 7\nentropy_seed = "x"\n')
    shown = json.loads(
        call("start", "--once", "--json", "--genesis", file, "--path", tmp_path / "c.db").stdout
    )
    assert (shown["tempo"], shown["block_time_s"]) == (7, 0.0)
    file.write_text("tempoo = 7\n")
    result = call("start", "--once", "--genesis", file, "--path", tmp_path / "d.db")
    assert (result.exit_code, "tempoo" in result.stderr) == (2, True)


def test_reset_makes_a_new_chain(tmp_path):
    path = tmp_path / "chain.db"
    old = json.loads(call("start", "--once", "--json", "--path", path).stdout)
    kept = CliRunner().invoke(app, ["reset", "--path", str(path)], input="n\n")
    new = json.loads(call("reset", "--yes", "--json", "--path", path).stdout)
    assert (kept.exit_code, new["head"], new["genesis_hash"] != old["genesis_hash"]) == (1, 0, True)


def test_ctrl_c_ends_a_running_chain_with_130_and_sigterm_with_0(tmp_path):
    # a shell's background jobs start without a handler for SIGINT
    handler = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        program = f"{handler}; from localnet.cli import app; app()"
        arguments = ["start", "--block-time", "0.01", "--path", str(tmp_path / f"{code}.db")]
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("making blocks")
            process.send_signal(number)
            assert process.wait(20) == code
        finally:
            process.kill()
            process.communicate()
