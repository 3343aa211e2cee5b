"""Opens the chain that the settings name: embedded, local, test, finney or a ws:// URL.

The only module that knows the development chain; above it nobody can tell which chain it is. Command
lines and loops enter `connect` once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import bittensor as bt
from bittensor.settings import default_archive_endpoints, default_fallback_endpoints, resolve_endpoint

from shared.chain.border import chain_border
from shared.chain.client import ChainClient
from shared.errors import AgonError
from shared.settings import Settings

EMBEDDED = "embedded"
LABEL_OF_EMBEDDED = "local"
"""The SDK wants a network name of its own; with a substrate handed in it is only a label."""


def substrate_for(settings: Settings, *, patient: bool = False) -> bt.Substrate:
    """The chain's access object, not yet open. A `patient` one never gives up on a lost endpoint.

    Raises AgonError `network_missing`, `network_unknown`, or `chain_unreachable` when the embedded
    chain's file does not exist.
    """
    network = settings.require_network()
    if network == EMBEDDED:
        return _embedded(settings)
    try:
        label, endpoint = resolve_endpoint(network)
    except ValueError as error:
        raise AgonError("network_unknown", f"there is no network named {network!r}") from error
    return bt.RpcSubstrate(
        endpoint,
        fallback_endpoints=default_fallback_endpoints(label),
        archive_endpoints=[*settings.archive, *default_archive_endpoints(label)],
        retry_forever=patient,
    )


def _embedded(settings: Settings) -> bt.Substrate:
    from localnet.substrate import LocalSubstrate

    try:
        return LocalSubstrate(settings.localnet)
    except FileNotFoundError as error:
        raise AgonError(
            "chain_unreachable",
            f"there is no embedded chain at {settings.localnet}",
            help="create one with `agon-localnet start`, or set AGON_LOCALNET to its file",
        ) from error
    except ValueError as error:
        raise AgonError(
            "chain_unreachable", str(error), help="create a new one with `agon-localnet start`"
        ) from error


@asynccontextmanager
async def connect(settings: Settings, *, patient: bool = False) -> AsyncIterator[ChainClient]:
    """An open `ChainClient`, closed on leaving. Raises TransientError `chain_unreachable`."""
    substrate = substrate_for(settings, patient=patient)
    network = settings.require_network()
    with chain_border(f"connect to {network}"):
        # Not Client.connect(): that also writes a cache of token symbols into the user's home.
        await substrate.connect()
    try:
        yield ChainClient(substrate, LABEL_OF_EMBEDDED if network == EMBEDDED else network)
    finally:
        await substrate.close()
