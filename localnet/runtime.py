"""Dispatch: from a signed call to a change of storage, or to the chain's own refusal.

Owns the table of calls, the validation of their arguments, fees, nonces and receipts. Called only while
a block is being made; every call runs in a savepoint, so a refused call leaves nothing but its fee.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bittensor import ChainError
from pydantic import ConfigDict, ValidationError, validate_call

from localnet import commitments, epoch, owner, serving, staking, subnets, weights
from localnet.extrinsic import LocalCall, SignedCall
from localnet.ledger import CallRefused, add_balance, free_rao, owner_of, read_account, require
from localnet.store import State

Handler = Callable[..., None]
# Hotkey-signed calls whose fee the owning coldkey pays.
COLDKEY_PAYS = frozenset(
    {
        "set_weights",
        "set_mechanism_weights",
        "commit_timelocked_mechanism_weights",
        "serve_axon",
        "associate_evm_key",
        "set_commitment",
    }
)
FREE = frozenset({"Commitments.set_commitment"})
SHIELD = ("MevShield", "submit_encrypted")
MAX_CIPHERTEXT_BYTES = 8_192


def submit_encrypted(state: State, origin: str, ciphertext: str) -> None:
    """Carry a sealed extrinsic; block production runs the one that was sealed with it."""
    require(len(ciphertext) <= 2 + 2 * MAX_CIPHERTEXT_BYTES, "BadCiphertextLen")
    state.emit("MevShield", "EncryptedSubmitted", {"who": origin})


_HANDLERS: dict[str, Handler] = {
    "SubtensorModule.register_network": subnets.register_network,
    "SubtensorModule.start_call": subnets.start_call,
    "SubtensorModule.burned_register": subnets.burned_register,
    "SubtensorModule.serve_axon": serving.serve_axon,
    "SubtensorModule.associate_evm_key": serving.associate_evm_key,
    "SubtensorModule.set_weights": weights.set_weights,
    "SubtensorModule.set_mechanism_weights": weights.set_mechanism_weights,
    "SubtensorModule.commit_timelocked_mechanism_weights": weights.commit_weights,
    "SubtensorModule.add_stake": staking.add_stake,
    "SubtensorModule.add_stake_limit": staking.add_stake_limit,
    "SubtensorModule.remove_stake": staking.remove_stake,
    "SubtensorModule.remove_stake_limit": staking.remove_stake_limit,
    "SubtensorModule.trigger_epoch": owner.trigger_epoch,
    "Balances.transfer_keep_alive": staking.transfer_keep_alive,
    "Balances.transfer_allow_death": staking.transfer_allow_death,
    "Balances.transfer_all": staking.transfer_all,
    "Commitments.set_commitment": commitments.set_commitment,
    "MevShield.submit_encrypted": submit_encrypted,
    "AdminUtils.sudo_set_tempo": owner.set_tempo,
    "AdminUtils.sudo_set_alpha_values": owner.set_alpha_values,
    "AdminUtils.sudo_set_burn_increase_mult": owner.set_burn_increase_mult,
    "AdminUtils.sudo_set_epoch_consensus": owner.set_epoch_consensus,
}
_CHECKED = validate_call(config=ConfigDict(arbitrary_types_allowed=True, strict=True))
_HANDLERS.update({f"AdminUtils.{name}": owner.build_setter(name, s) for name, s in owner.SETTERS.items()})
CALLS: dict[str, Handler] = {name: _CHECKED(handler) for name, handler in _HANDLERS.items()}
RESERVED = {"state", "origin"}


def check_call(module: str, function: str) -> None:
    """Raise ChainError when this chain has no such call."""
    if f"{module}.{function}" not in CALLS:
        raise ChainError(f"the embedded chain has no call {module}.{function}")


def begin_block(state: State) -> None:
    """What happens in a block before its extrinsics."""
    epoch.run_due_epochs(state)


def fee_payer(state: State, call: LocalCall, signer: str) -> str:
    """Who pays the fee: the signer, or the coldkey that owns the signing hotkey."""
    return (owner_of(state, signer) or signer) if call.function in COLDKEY_PAYS else signer


def fee_rao(state: State, call: LocalCall) -> int:
    """The flat fee of a call."""
    return 0 if f"{call.module}.{call.function}" in FREE else state.genesis.fee_rao


def can_pay(state: State, extrinsic: SignedCall) -> bool:
    """Whether the fee of an extrinsic can be taken."""
    payer = fee_payer(state, extrinsic.call, extrinsic.signer)
    return free_rao(state, payer) >= fee_rao(state, extrinsic.call)


def apply_extrinsic(state: State, extrinsic: SignedCall, index: int) -> dict[str, Any]:
    """Run one valid extrinsic: nonce and fee always, its effects only if the call succeeds.

    Returns the receipt {success, error, fee_rao, events} that is stored for its hash.
    """
    state.extrinsic_index = index
    first_event = len(state.events)
    account = read_account(state, extrinsic.signer)
    account["nonce"] = extrinsic.nonce + 1
    state.put("System.Account", account, extrinsic.signer)
    fee = fee_rao(state, extrinsic.call)
    if fee:
        payer = fee_payer(state, extrinsic.call, extrinsic.signer)
        add_balance(state, payer, -fee)
        paid = {"who": payer, "actual_fee": fee, "tip": 0}
        state.emit("TransactionPayment", "TransactionFeePaid", paid)
    error = _dispatch(state, extrinsic.call, extrinsic.signer)
    if error is None:
        state.emit("System", "ExtrinsicSuccess", {"dispatch_info": {}})
    else:
        state.emit("System", "ExtrinsicFailed", {"dispatch_error": error})
    state.extrinsic_index = None
    events = state.events[first_event:]
    return {"success": error is None, "error": error, "fee_rao": fee, "events": events}


def _dispatch(state: State, call: LocalCall, origin: str) -> str | None:
    """Run a call in a savepoint; the pallet error's name if it was refused."""
    handler = CALLS.get(f"{call.module}.{call.function}")
    if handler is None:
        return "CallFiltered"
    if RESERVED & call.params.keys():
        return "InvalidCall"
    events = len(state.events)
    state.db.execute("SAVEPOINT dispatch")
    try:
        handler(state, origin, **call.params)
    except CallRefused as refusal:
        state.db.execute("ROLLBACK TO dispatch")
        del state.events[events:]
        return refusal.name
    except ValidationError:
        state.db.execute("ROLLBACK TO dispatch")
        del state.events[events:]
        return "InvalidCall"
    finally:
        state.db.execute("RELEASE dispatch")
    return None
