"""A flag wins over the environment, the environment over the file, the file over the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import AgonError
from shared.settings import Settings


@pytest.fixture(autouse=True)
def clean_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.delenv("AGON_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def code_of(**flags: object) -> str:
    with pytest.raises(AgonError) as caught:
        Settings.load(**flags)
    return caught.value.code


def test_nearest_source_wins_and_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "agon.toml").write_text('network = "test"\nnetuid = 7\nwallet = "filed"\n')
    monkeypatch.setenv("AGON_NETUID", "8")
    monkeypatch.setenv("BT_WALLET", "spoken")
    flags = {"wallet": "given", "wallet_hotkey": None}
    settings = Settings.load(**flags)
    assert (settings.network, settings.netuid, settings.wallet) == ("test", 8, "given")
    sources = settings.sources()
    assert {name: source for name, source in sources.items() if source != "default"} == {
        "network": "file",
        "netuid": "environment",
        "wallet": "flag",
    }
    assert set(sources) == set(Settings.model_fields)


def test_there_is_no_default_network() -> None:
    settings = Settings.load()
    assert settings.network is None
    with pytest.raises(AgonError) as caught:
        settings.require_network()
    assert caught.value.code == "network_missing"


def test_wrong_values_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of(network="mainnet") == "network_unknown"
    assert code_of(netuid="many") == "settings_invalid"
    assert code_of(netuid=0) == "settings_invalid"
    assert code_of(unheard_of=1) == "settings_invalid"
    (tmp_path / "agon.toml").write_text('nettwork = "test"\n')
    with pytest.raises(AgonError, match="nettwork") as caught:
        Settings.load()
    assert caught.value.code == "settings_invalid"
    (tmp_path / "agon.toml").write_text("network = \n")
    assert code_of() == "settings_invalid"
    monkeypatch.setenv("AGON_CONFIG", str(tmp_path / "absent.toml"))
    assert code_of() == "settings_invalid"


def test_endpoints_and_lists_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BT_NETWORK", "ws://127.0.0.1:9944")
    monkeypatch.setenv("AGON_ARCHIVE", "wss://one.example, wss://two.example")
    monkeypatch.setenv("AGON_STORE", "")
    settings = Settings.load()
    assert settings.require_network() == "ws://127.0.0.1:9944"
    assert settings.archive == ("wss://one.example", "wss://two.example")
    assert settings.store == Path(".agon/store")
    assert not settings.allows_file_locators


def test_ledger_lives_in_the_state_directory_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load(state=Path("here")).ledger_url == "sqlite:///here/ledger.db"
    monkeypatch.setenv("AGON_LEDGER", "postgresql+psycopg://db/agon")
    assert Settings.load().ledger_url == "postgresql+psycopg://db/agon"


@pytest.mark.parametrize("name", ["../other", "a/b", "..", ""])
def test_wallet_names_cannot_leave_the_wallet_directory(name: str) -> None:
    with pytest.raises(AgonError) as caught:
        Settings.load(wallet=name)
    assert caught.value.code == "settings_invalid"
