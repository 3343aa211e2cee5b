"""What a neuron publishes about itself: its axon endpoint and its EVM key.

Owns `serve_axon` and `associate_evm_key` with their checks and rate limits. Stores claims; it contacts
nobody.
"""

from __future__ import annotations

import ipaddress

from bittensor.sp_core import ss58_decode

from localnet.ledger import U16, U64, CallRefused, NetUid, require
from localnet.store import State
from localnet.subnets import hyperparameter


def serve_axon(
    state: State,
    origin: str,
    *,
    netuid: NetUid,
    version: int,
    ip: int,
    port: U16,
    ip_type: int,
    protocol: int,
    placeholder1: int = 0,
    placeholder2: int = 0,
) -> None:
    """Publish the caller's endpoint on a subnet."""
    require(state.get("Uids", netuid, origin) is not None, "HotKeyNotRegisteredInNetwork")
    require(ip_type in (4, 6), "InvalidIpType")
    # The SDK's reset_axon writes ip 0 and port 1, which means "serves nothing".
    require(ip == 0 or _is_public(ip, ip_type), "InvalidIpAddress")
    require(port != 0, "InvalidPort")
    previous = state.get("Axons", netuid, origin)
    limit = hyperparameter(state, "ServingRateLimit", netuid)
    waited = previous is None or state.block - previous["block"] >= limit
    require(waited, "ServingRateLimitExceeded")
    axon = {
        "block": state.block,
        "version": version,
        "ip": ip,
        "port": port,
        "ip_type": ip_type,
        "protocol": protocol,
        "placeholder1": placeholder1,
        "placeholder2": placeholder2,
    }
    state.put("Axons", axon, netuid, origin)
    state.emit("SubtensorModule", "AxonServed", [netuid, origin])


def _is_public(ip: int, ip_type: int) -> bool:
    """The chain refuses exactly these addresses: private ranges and 127.0.0.2 pass."""
    if ip_type == 4:
        refused = {int(ipaddress.IPv4Address(a)) for a in ("127.0.0.1", "255.255.255.255")}
        return 0 < ip < 2**32 and ip not in refused
    return 1 < ip < 2**128 - 1


def associate_evm_key(
    state: State, origin: str, *, netuid: NetUid, evm_key: str, block_number: U64, signature: str
) -> None:
    """Tie an Ethereum address to the caller's uid, proved by that address's own signature."""
    uid = state.get("Uids", netuid, origin)
    if uid is None:
        raise CallRefused("HotKeyNotRegisteredInSubNet")
    previous = state.get("AssociatedEvmAddress", netuid, uid)
    waited = previous is None or state.block - previous[1] >= state.genesis.evm_rate_limit
    require(waited, "EvmKeyAssociateRateLimitExceeded")
    require(_recover(origin, block_number, signature) == evm_key.lower(), "InvalidRecoveredPublicKey")
    state.put("AssociatedEvmAddress", [evm_key.lower(), state.block], netuid, uid)
    attributes = {
        "netuid": netuid,
        "hotkey": origin,
        "evm_key": evm_key.lower(),
        "block_associated": state.block,
    }
    state.emit("SubtensorModule", "EvmKeyAssociated", attributes)


def _recover(hotkey: str, block_number: int, signature: str) -> str:
    """Address that signed (EIP-191) hotkey public key + keccak256(block number as u64 little endian)."""
    from eth_account import Account
    from eth_account.messages import encode_defunct
    from eth_keys.exceptions import BadSignature
    from eth_utils.crypto import keccak
    from eth_utils.exceptions import ValidationError

    message = bytes(ss58_decode(hotkey)) + keccak(block_number.to_bytes(8, "little"))
    try:
        return str(Account.recover_message(encode_defunct(primitive=message), signature=signature)).lower()
    except (BadSignature, ValidationError, ValueError) as error:
        raise CallRefused("UnableToRecoverPublicKey") from error
