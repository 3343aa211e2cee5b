"""Asking: a validator's HTTP API read as typed documents, one question at a time.

The commands that follow a competition call it. A validator answers for itself alone; signatures are
checked by whoever reads, not here. Nothing is kept.
"""

from __future__ import annotations

from typing import Any

import httpx2
from pydantic import ValidationError

from shared.errors import CODES, AgonError, Fault, TransientError
from shared.protocol.wire import WireT

TIMEOUT_S = 10.0
NOTHING = frozenset({"not_found", "no_data"})
"""Codes that say that there is no such thing yet."""


def ask(api: str, path: str) -> dict[str, Any]:
    """The document at `path` of the API at `api`.

    Raises the AgonError that the validator answers with, `no_data` for either of its codes that say that
    there is nothing yet, and TransientError `api_unreachable` when it does not answer in our language.
    """
    try:
        with httpx2.Client(base_url=api.rstrip("/"), timeout=TIMEOUT_S) as client:
            response = client.get(path)
            document = response.json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise TransientError("api_unreachable", f"{api} gives no answer: {error}") from error
    if not response.is_success:
        raise _answered_error(api, path, document)
    if not isinstance(document, dict):
        raise TransientError("api_unreachable", f"{api} is not an Agon API")
    return document


def ask_for(api: str, path: str, kind: type[WireT]) -> WireT:
    """The same, as a document of `kind`."""
    document = ask(api, path)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        message = f"{api}{path} is not a {kind.__name__}: it may run another version of Agon"
        raise TransientError("api_unreachable", message) from error


def _answered_error(api: str, path: str, document: Any) -> AgonError:
    code = document.get("code") if isinstance(document, dict) else None
    if code in NOTHING:
        return AgonError("no_data", f"{api} has nothing at {path} yet: {document.get('message')}")
    if code in CODES:
        # what the validator has to mend may be mended when we ask again
        passing = CODES[code].fault in {Fault.VALIDATOR, Fault.NETWORK}
        kind = TransientError if passing else AgonError
        return kind(code, f"{api} says: {document.get('message')}", help=document.get("help"))
    return TransientError("api_unreachable", f"{api} is not an Agon API")
