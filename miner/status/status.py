"""Status: what a validator says about a hotkey's submissions, read over its HTTP API.

`agon-miner status` prints it. Each validator judges for itself, so the answer is one validator's view;
nothing is kept here.
"""

from __future__ import annotations

from typing import Any

from miner.status.api_client import ask
from shared.errors import AgonError, TransientError

SHOWN = ("state", "round", "rank", "queue_position", "commit_block", "digest", "model", "locator")
"""Fields of a submission that are shown to people, beside its problem and its explanation."""


def fetch_status(api: str, key: str) -> list[dict[str, Any]]:
    """The submissions with this hotkey, committed digest or model digest, newest commit first.

    Raises AgonError `no_data` when the validator knows of none, TransientError `api_unreachable` when it
    does not answer in our language, and otherwise the error that it answers with.
    """
    try:
        items = ask(api, f"/v1/submissions/{key}").get("items")
    except AgonError as error:
        if error.code == "no_data":
            raise _no_data(key) from error
        raise
    if not isinstance(items, list):
        raise TransientError("api_unreachable", f"{api} is not an Agon API")
    if not items:
        raise _no_data(key)
    return items


def shown_fields(item: dict[str, Any]) -> dict[str, Any]:
    """One submission as aligned lines for people; what the validator did not say is left out."""
    fields = {name: item[name] for name in SHOWN if item.get(name) is not None}
    problem = item.get("problem")
    if problem:
        fields["problem"] = f"{problem.get('code')}: {problem.get('message')}"
        fields["help"] = problem.get("help")
    record = item.get("record")
    if record:
        fields["proven gain"] = record.get("gain")
    for name in ("explanation", "to_win"):
        if item.get(name):
            fields[name.replace("_", " ")] = item[name]
    return fields


def _no_data(key: str) -> AgonError:
    return AgonError("no_data", f"this validator has seen no submission of {key} yet")
