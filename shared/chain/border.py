"""The one place where errors of the bittensor SDK and of keyfiles become ours.

The chain client and the wallet opener run every foreign call inside `chain_border`; nothing above
`shared/chain` catches a bittensor error. What may pass by itself becomes a `TransientError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bittensor import BittensorError, ChainError, ErrorCode

from shared.errors import AgonError, TransientError

_CODES = {
    ErrorCode.INSUFFICIENT_BALANCE: "insufficient_balance",
    ErrorCode.NOT_REGISTERED: "not_registered",
}
_PRUNED = ("state discarded", "state already discarded", "unknownblock", "unknown block")
_LOST = ("connection lost", "subscription ended", "too many requests")


@contextmanager
def chain_border(doing: str) -> Iterator[None]:
    """Raise AgonError or TransientError in place of what the SDK raises while `doing` something.

    Codes: `chain_unreachable` and `rate_limited` (transient), `state_pruned`, `not_registered`,
    `insufficient_balance`, `wallet_missing`, `wallet_locked`, and `chain_rejected` for every other refusal,
    with the pallet's own name.
    """
    try:
        yield
    except ChainError as error:
        raise translate(error, doing) from error
    except (FileNotFoundError, PermissionError) as error:
        raise AgonError("wallet_missing", f"cannot {doing}: {error}") from error
    except ValueError as error:
        raise _translate_value(error, doing) from error
    except (BittensorError, ConnectionError, TimeoutError, OSError) as error:
        # What is left of the SDK's tree is about its connection, apart from bad input to an intent.
        detail = f"cannot {doing}: {type(error).__name__}: {error}"
        if type(error) is BittensorError:
            raise AgonError("chain_rejected", detail) from error
        raise TransientError("chain_unreachable", detail) from error


def _translate_value(error: ValueError, doing: str) -> AgonError:
    # The SDK reports so a wrong coldkey password, at the first signature, and what a runtime lacks.
    code = "wallet_locked" if "password" in str(error) else "chain_rejected"
    return AgonError(code, f"cannot {doing}: {error}")


def translate(error: ChainError, doing: str) -> AgonError:
    """Our error for a refusal by the chain, with its pallet name in the message and its remedy as help."""
    name = f" ({error.name})" if error.name else ""
    message = f"cannot {doing}: {error.message}{name}"
    said = error.message.lower()
    if any(words in said for words in _LOST):
        return TransientError("chain_unreachable", message)
    if any(words in said for words in _PRUNED):
        return AgonError("state_pruned", message)
    if error.code in {ErrorCode.RATE_LIMITED, ErrorCode.TOO_EARLY}:
        return TransientError("rate_limited", message, help=error.remediation)
    code = _CODES.get(error.code)
    if code is not None:
        return AgonError(code, message)
    return AgonError("chain_rejected", message, help=error.remediation)
