"""Registering: the price is shown before it is paid, and never exceeded."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from shared.chain.dev_wallets import create_dev_wallet
from shared.errors import AgonError


def test_the_price_is_shown_and_asked_for(bare_world: Any) -> None:
    price = bare_world.run_json("price")["price_tao"]
    declined = bare_world.run("register", input="n\n")
    assert declined.exit_code == 1
    assert f"costs {price} TAO" in declined.stderr
    assert bare_world.run_json("init")["uid"] is None
    accepted = bare_world.run("register", input="y\n")
    assert accepted.exit_code == 0
    assert bare_world.run_json("init")["uid"] == 1


def test_more_than_max_burn_is_never_paid(bare_world: Any) -> None:
    before = bare_world.run_json("init")["balance_tao"]
    result = bare_world.run("register", "--yes", "--max-burn", "0.001", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "price_too_high"
    assert bare_world.run_json("init")["balance_tao"] == before


def test_max_burn_at_the_price_is_enough(bare_world: Any) -> None:
    price = bare_world.run_json("price")["price_tao"]
    done = bare_world.run_json("register", "--yes", "--max-burn", price)
    assert done["uid"] == 1
    assert Decimal(price) <= Decimal(done["paid_tao"]) < Decimal(price) + Decimal("0.001")


def test_registering_again_costs_nothing(world: Any) -> None:
    before = world.run_json("init")["balance_tao"]
    again = world.run_json("register")
    assert again == {"hotkey": world.hotkey, "netuid": 1, "uid": 1, "paid_tao": "0"}
    assert world.run_json("init")["balance_tao"] == before


def test_an_empty_wallet_is_told_before_it_is_asked(bare_world: Any) -> None:
    bare_world.run_json("init", "-w", "poor", "--create-wallet")
    assert bare_world.run_json("init", "-w", "poor")["balance_tao"] == "100"
    env = {**bare_world.env, "BT_WALLET": "empty"}
    create_dev_wallet(bare_world.settings.model_copy(update={"wallet": "empty"}))
    result = type(bare_world)(bare_world.root, bare_world.settings, bare_world.rules, env).run("register")
    assert result.exit_code == 1
    assert "error: insufficient_balance" in result.stderr
    assert "?" not in result.stderr


def test_a_subnet_that_does_not_exist_is_named(bare_world: Any) -> None:
    for command in ("price", "register", "init"):
        result = bare_world.run(command, "--netuid", "9")
        assert result.exit_code == 1
        assert "error: not_found: subnet 9 does not exist" in result.stderr


def test_init_leads_from_nothing_to_registration(bare_world: Any) -> None:
    first = bare_world.run_json("init", "-w", "new")
    assert first["hotkey"] is None
    assert first["next"][0] == "agon-miner init -n embedded --netuid 1 -w new -H default --create-wallet"
    second = bare_world.run_json("init", "-w", "new", "--create-wallet")
    assert second["balance_tao"] == "100"
    assert second["next"][0] == "agon-miner register -n embedded --netuid 1 -w new -H default"
    assert bare_world.run(*second["next"][0].split()[1:], "--yes").exit_code == 0
    third = bare_world.run_json("init", "-w", "new", "--create-wallet")
    assert (third["uid"], third["hotkey"]) == (1, second["hotkey"])
    assert third["next"][0].startswith("agon-miner package")


def test_no_unencrypted_wallet_for_real_money(bare_world: Any) -> None:
    settings = bare_world.settings.model_copy(update={"network": "finney", "wallet": "rich"})
    with pytest.raises(AgonError, match="settings_invalid"):
        create_dev_wallet(settings)
    assert not (settings.wallet_path / "rich").exists()
