"""The rules a development chain is born with.

Owns the `Genesis` model: a `genesis.toml` or a preset. `genesis.py` writes block 0 from it; afterwards
it is read back from the chain file and never changes. Holds no state and touches no chain.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator

RAO = 1_000_000_000
U16_MAX = 65_535
DEV_URIS = ("//Alice", "//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie")

U16 = Annotated[int, Field(ge=0, le=U16_MAX)]
Count = Annotated[int, Field(ge=0)]
Rao = Annotated[int, Field(ge=0, lt=2**63)]


class NeuronSeed(BaseModel):
    """One neuron that is registered, and perhaps staked, at block 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    hotkey: str
    coldkey: str
    stake_rao: Rao = 0


class SubnetSeed(BaseModel):
    """One subnet that exists, and emits, from block 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    owner_hotkey: str
    owner_coldkey: str
    owner_stake_rao: Rao = 0
    neurons: tuple[NeuronSeed, ...] = ()


class Genesis(BaseModel):
    """Every number of the chain that does not come from a transaction.

    Field defaults are mainnet's. Names ending in `_s` are seconds, in `_rao` rao; the rest are blocks
    or the chain's own raw units. `block_time_s = 0` seals one block per submission and none otherwise.
    Accounts are ss58 addresses or development URIs such as `//Alice`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    block_time_s: Annotated[float, Field(ge=0, le=3600)] = 12.0
    entropy_seed: str | None = None
    dev_balance_rao: Rao = 1_000_000 * RAO
    extra: dict[str, Rao] = {}
    subnets: tuple[SubnetSeed, ...] = ()
    run_epoch: StrictBool = True

    tempo: Annotated[int, Field(ge=1, le=50_400)] = 360
    max_uids: Annotated[int, Field(ge=2, le=256)] = 256
    max_validators: U16 = 64
    min_non_immune_uids: U16 = 10
    immunity_period: U16 = 5_000
    activity_cutoff_factor_milli: Count = 13_889
    min_allowed_weights: U16 = 1
    weights_rate_limit: Count = 100
    serving_rate_limit: Count = 50
    kappa: U16 = 32_767
    bonds_moving_average: Annotated[int, Field(ge=0, le=1_000_000)] = 900_000
    bonds_penalty: U16 = U16_MAX
    yuma3: StrictBool = True
    liquid_alpha: StrictBool = False
    alpha_low: U16 = 45_875
    alpha_high: U16 = 58_982
    alpha_sigmoid_steepness: Annotated[int, Field(ge=-32_768, le=32_767)] = 1_000

    burn_rao: Rao = RAO
    min_burn_rao: Rao = 500_000
    max_burn_rao: Rao = 100 * RAO
    burn_half_life: Annotated[int, Field(ge=1)] = 360
    burn_increase_milli: Annotated[int, Field(ge=1_000)] = 1_260
    lock_cost_rao: Rao = 1_000 * RAO
    lock_reduction_interval: Annotated[int, Field(ge=1)] = 100_800
    network_rate_limit: Count = 7_200
    subnet_limit: Annotated[int, Field(ge=1, le=4_096)] = 128
    start_call_delay: Count = 50_400
    dynamic_pool: StrictBool = True

    stake_threshold_rao: Rao = 1_000 * RAO
    tao_weight: Annotated[float, Field(ge=0, le=1)] = 0.18
    min_stake_rao: Rao = 2_000_000
    owner_cut: U16 = 11_796
    delegate_take: U16 = 11_796
    alpha_per_block_rao: Rao = RAO

    fee_rao: Rao = 100_000
    existential_deposit_rao: Rao = 500
    admin_freeze_window: Count = 10
    owner_hyperparam_tempos: Count = 2
    evm_rate_limit: Count = 7_200
    commitment_space_bytes: Count = 3_100

    @field_validator("extra")
    @classmethod
    def _resolve_extra(cls, value: dict[str, int]) -> dict[str, int]:
        return {resolve_account(name): rao for name, rao in value.items()}

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> Self:
        """The preset `dev` or `mainnet-like`, with single fields replaced; ValueError for another name."""
        if name not in PRESETS:
            raise ValueError(f"unknown preset {name!r}; there are: {', '.join(sorted(PRESETS))}")
        return cls.model_validate({**PRESETS[name], **overrides})

    @classmethod
    def load(cls, path: Path, **overrides: Any) -> Self:
        """Read a genesis.toml: an optional `preset` name and the fields that differ from it.

        Raises FileNotFoundError, tomllib.TOMLDecodeError or pydantic's ValidationError (ValueErrors both).
        """
        with path.open("rb") as file:
            values = tomllib.load(file) | overrides
        return cls.preset(str(values.pop("preset", "dev")), **values)


PRESETS: dict[str, dict[str, Any]] = {
    "mainnet-like": {},
    "dev": {
        "block_time_s": 1.0,
        "tempo": 20,
        "immunity_period": 4_096,
        "weights_rate_limit": 5,
        "serving_rate_limit": 5,
        "start_call_delay": 0,
        "network_rate_limit": 0,
        "burn_rao": RAO // 100,
        "max_burn_rao": RAO,
        "lock_cost_rao": 10 * RAO,
        "dynamic_pool": False,
        "stake_threshold_rao": 0,
        "admin_freeze_window": 0,
        "owner_hyperparam_tempos": 0,
        "evm_rate_limit": 0,
    },
}


def resolve_account(name: str) -> str:
    """The ss58 address of a development URI, or the address itself; ValueError if it is neither."""
    from bittensor.sp_core import Keypair, ss58_decode

    if name.startswith("//"):
        return str(Keypair.create_from_uri(name).ss58_address)
    ss58_decode(name)
    return name


def dev_accounts() -> dict[str, str]:
    """Development URI -> ss58 address of every account that is funded on each chain."""
    return {uri: resolve_account(uri) for uri in DEV_URIS}
