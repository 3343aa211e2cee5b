"""The table of codes: each has a fault and a help line, and ours pass a boundary unchanged."""

import pytest

from shared.errors import CODES, USAGE_CODES, AgonError, Fault, Rejection, TransientError, boundary


def test_every_code_says_what_to_do() -> None:
    assert all(info.help and not info.help.endswith(".") for info in CODES.values())
    assert CODES.keys() >= USAGE_CODES


def test_an_error_tells_its_code_fault_and_help() -> None:
    error = Rejection("too_large", "model.safetensors has 9 bytes too many")
    assert error.to_dict() == {
        "code": "too_large",
        "message": "model.safetensors has 9 bytes too many",
        "help": CODES["too_large"].help,
        "fault": Fault.MINER,
    }


def test_a_boundary_makes_foreign_errors_ours() -> None:
    with pytest.raises(TransientError) as caught, boundary("store_unreachable", "download", OSError):
        raise ConnectionResetError("peer went away")
    assert caught.value.code == "store_unreachable"


def test_a_boundary_lets_ours_and_the_unexpected_pass() -> None:
    with pytest.raises(Rejection), boundary("store_unreachable", "download", Exception):
        raise Rejection("too_large", "as it was")
    with pytest.raises(AgonError) as caught, boundary("store_unreachable", "download", OSError):
        raise AgonError("not_found", "as it was")
    assert caught.value.code == "not_found"
    with pytest.raises(KeyError), boundary("store_unreachable", "download", OSError):
        raise KeyError("a bug is no outage")
