"""The table of codes: each has a fault and a help line."""

from shared.errors import CODES, USAGE_CODES, Fault, Rejection


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
