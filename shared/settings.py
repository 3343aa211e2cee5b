"""Every setting that is not a rule of the competition: where the chain, the keys and the files are.

Command lines build it once with `Settings.load` and hand it down; it is the only module that reads
the environment. A flag wins over the environment, the environment over `agon.toml`, the file over the
default. There is no default network, so nobody spends TAO by accident.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from shared.errors import AgonError
from shared.protocol.loader import field_errors
from shared.types import Netuid

CONFIG_FILE = Path("agon.toml")
CONFIG_VARIABLE = "AGON_CONFIG"
NETWORKS = ("embedded", "local", "test", "finney", "archive")
LOCAL_NETWORKS = frozenset({"embedded", "local"})
"""Networks on which `file:` locators are honoured: everybody there shares a file system."""

Source = Literal["flag", "environment", "file", "default"]


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """Settings of one command. Relative paths are relative to the working directory."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        use_attribute_docstrings=True,
        case_sensitive=True,
        env_ignore_empty=True,
    )

    _flags: frozenset[str] = PrivateAttr(default=frozenset())
    """Settings that were given as flags."""

    network: str | None = Field(default=None, alias="BT_NETWORK")
    """embedded, local, test, finney, archive, or a ws:// or wss:// URL."""
    wallet: str = Field(default="default", min_length=1, alias="BT_WALLET")
    """Name of the wallet that holds the coldkey."""
    wallet_hotkey: str = Field(default="default", min_length=1, alias="BT_WALLET_HOTKEY")
    """Name of the hotkey in that wallet."""
    wallet_path: Path = Field(default=Path("~/.bittensor/wallets"), alias="BT_WALLET_PATH")
    """Directory of all wallets."""
    netuid: Netuid | None = Field(default=None, ge=1, le=65535, alias="AGON_NETUID")
    """Number of the subnet."""
    state: Path = Field(default=Path(".agon"), alias="AGON_STATE")
    """Directory for this process's own files: ledger, caches, journals."""
    cache: Path = Field(default=Path("~/.cache/agon"), alias="AGON_CACHE")
    """Directory of what can be made again: converted base models."""
    localnet: Path = Field(default=Path(".agon/localnet.db"), alias="AGON_LOCALNET")
    """File of the embedded chain."""
    store: Path = Field(default=Path(".agon/store"), alias="AGON_STORE")
    """Root of `file:` locators; used on embedded and local networks only."""
    hf_endpoint: str = Field(
        default="https://huggingface.co", pattern=r"^https?://[^/]+/?$", alias="HF_ENDPOINT"
    )
    """Hub behind `hf://` locators; a mirror of one's own may be on a private address."""
    hf_token: SecretStr | None = Field(default=None, alias="HF_TOKEN")
    """Token that uploads to `hf://` locators; reading never uses it."""
    s3_key_id: str | None = Field(default=None, alias="AWS_ACCESS_KEY_ID")
    """Key that uploads to `s3://` locators; reading never uses it."""
    s3_secret: SecretStr | None = Field(default=None, alias="AWS_SECRET_ACCESS_KEY")
    """Its secret."""
    s3_session: SecretStr | None = Field(default=None, alias="AWS_SESSION_TOKEN")
    """Its session token, if it has one."""
    s3_region: str = Field(default="us-east-1", min_length=1, alias="AWS_REGION")
    """Region that uploads are signed for; `auto` on some hosts."""
    s3_endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$", alias="AWS_ENDPOINT_URL_S3")
    """URL of the S3 API that takes uploads; the locator's own host when unset."""
    s3_bucket: str | None = Field(default=None, min_length=3, alias="AGON_S3_BUCKET")
    """Bucket behind a locator's host that is a domain of its own: all that follows the host is the key."""
    s3_staging: str | None = Field(default=None, min_length=3, alias="AGON_S3_STAGING")
    """Private bucket for uploads before the slot; below `agon-staging/` in the same bucket when unset."""
    ledger: str | None = Field(default=None, alias="AGON_LEDGER")
    """SQLAlchemy URL of the ledger; `ledger.db` in the state directory when unset."""
    bundle: Path | None = Field(default=None, alias="AGON_BUNDLE")
    """Directory of the competition's bundle: rules, pools, judges, reference statistics."""
    archive: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(), alias="AGON_ARCHIVE"
    )
    """Archive endpoints for reads of pruned state, separated by commas."""
    api: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$", alias="AGON_API")
    """Address of a validator's HTTP API that the miner asks."""
    api_host: str = Field(default="127.0.0.1", min_length=1, alias="AGON_API_HOST")
    """Address that the HTTP API listens on."""
    api_port: int = Field(default=8091, ge=0, le=65535, alias="AGON_API_PORT")
    """Port of the HTTP API; 0 picks a free one."""
    judge_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$", alias="AGON_JUDGE_URL")
    """OpenAI-compatible API of the language model that judges of kind `reference-pairwise` ask."""
    judge_key: SecretStr | None = Field(default=None, alias="AGON_JUDGE_KEY")
    """Bearer token of a judge behind a URL: the validator's, or the one of `agon-miner train rlaif`."""
    rank: int = Field(default=0, ge=0, alias="RANK")
    """Number of this process in a training of several; `accelerate launch` sets it."""
    world_size: int = Field(default=1, ge=1, alias="WORLD_SIZE")
    """Processes of the training; `accelerate launch` sets it."""
    log_format: Literal["console", "json"] = Field(default="console", alias="AGON_LOG_FORMAT")
    """How log lines are written to stderr."""

    @field_validator("wallet", "wallet_hotkey")
    @classmethod
    def _one_name(cls, value: str) -> str:
        if "/" in value or value in {".", ".."}:
            raise ValueError("must be a name, not a path")
        return value

    @field_validator("wallet_path", "state", "cache", "localnet", "store", "bundle")
    @classmethod
    def _expand_home(cls, path: Path | None) -> Path | None:
        return path.expanduser() if path else path

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the name is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then environment, then the file; nothing else is read."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_config_file())

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Settings from `flags` (None means not given), environment, file and defaults.

        Raises AgonError `settings_invalid` naming every wrong setting, or `network_unknown`.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        try:
            settings = cls(**given)
            settings._flags = frozenset(given)
        except ValidationError as error:
            raise AgonError("settings_invalid", field_errors(error)) from error
        except tomllib.TOMLDecodeError as error:
            raise AgonError("settings_invalid", f"{_config_file()} is not TOML: {error}") from error
        _check_network(settings.network)
        return settings

    def sources(self) -> dict[str, Source]:
        """Where the value of each setting came from."""
        return {name: self._source(name) for name in type(self).model_fields}

    def _source(self, name: str) -> Source:
        if name not in self.model_fields_set:
            return "default"
        if name in self._flags:
            return "flag"
        alias = type(self).model_fields[name].alias
        return "environment" if alias and os.environ.get(alias) else "file"

    def require_network(self) -> str:
        """The network. Raises AgonError `network_missing` when none was named."""
        if self.network is None:
            raise AgonError("network_missing", "no network was named")
        return self.network

    def require_netuid(self) -> Netuid:
        """The subnet's number. Raises AgonError `settings_invalid` when none was named."""
        if self.netuid is None:
            raise AgonError(
                "settings_invalid", "no subnet was named", help="pass --netuid or set AGON_NETUID"
            )
        return self.netuid

    def require_api(self) -> str:
        """The validator's API to ask. Raises AgonError `settings_invalid` when none was named."""
        if self.api is None:
            raise AgonError(
                "settings_invalid", "no validator's API was named", help="pass --api or set AGON_API"
            )
        return self.api

    def require_bundle(self) -> Path:
        """The bundle's directory. Raises AgonError `settings_invalid` when none was named."""
        if self.bundle is None:
            raise AgonError(
                "settings_invalid", "no bundle was named", help="pass --bundle or set AGON_BUNDLE"
            )
        return self.bundle

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.ledger or f"sqlite:///{self.state / 'ledger.db'}"

    @property
    def allows_file_locators(self) -> bool:
        """Whether all on this network share a machine: `file:` locators and private hosts are honoured."""
        return self.network in LOCAL_NETWORKS

    @property
    def file_root(self) -> Path | None:
        """Root of `file:` locators; none where they are not honoured."""
        return self.store if self.allows_file_locators else None


def _config_file() -> Path:
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise AgonError("settings_invalid", f"{CONFIG_VARIABLE} names a file that does not exist: {named}")
    return Path(named) if named else CONFIG_FILE


def _check_network(network: str | None) -> None:
    if network is None or network in NETWORKS or network.startswith(("ws://", "wss://")):
        return
    raise AgonError("network_unknown", f"there is no network named {network!r}")
