"""What is made from code for readers: tables of settings and error codes, and `agon.toml.example`.

`python scripts/doc_tables.py` writes the tables between their markers below `docs/`; a test renders all again
and compares. Nothing else in a page is touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from shared.errors import CODES, USAGE_CODES, Fault
from shared.protocol.api import Provable
from shared.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLE = Path(__file__).parents[1] / "agon.toml.example"
LAUNCHER = frozenset({"rank", "world_size"})
"""Settings that `accelerate launch` sets, and nobody by hand."""
EXAMPLES = {
    "network": '"test"',
    "netuid": "1",
    "hf_token": '"hf_..."',
    "s3_key_id": '"..."',
    "s3_secret": '"..."',
    "s3_session": '"..."',
    "s3_endpoint": '"https://s3.example.com"',
    "s3_bucket": '"models"',
    "s3_staging": '"models-private"',
    "ledger": '"postgresql+psycopg://agon@localhost/agon"',
    "bundle": '"bundle"',
    "archive": '"wss://archive.example.com:443"',
    "api": '"http://127.0.0.1:8091"',
    "judge_url": '"http://127.0.0.1:8000/v1"',
    "judge_key": '"..."',
}
"""What a setting without a default may look like."""
REGION = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def settings_table() -> str:
    """Every setting with its environment variable, default and meaning."""
    rows = []
    for name, field in Settings.model_fields.items():
        empty = field.default is None or field.default == ()
        default = "" if empty else f"`{field.default}`"
        rows.append((f"`{name}`", f"`{field.alias}`", default, field.description or ""))
    return _table(("key in agon.toml", "variable", "default", "meaning"), rows)


def settings_example() -> str:
    """`agon.toml.example`: every setting as a comment, with its meaning, its variable and its default."""
    lines = [
        "# Settings of agon-miner and agon-validator: copy to agon.toml, uncomment what you set.",
        "# A flag wins over the environment, the environment over this file, this file over the default.",
        "# `agon-miner config show` and `agon-validator config show` print each value with its source.",
    ]
    for name, field in Settings.model_fields.items():
        if name in LAUNCHER:
            continue
        secret = " Keep it out of files that others read." if "SecretStr" in str(field.annotation) else ""
        value = _example(name, field.default)
        lines += ["", f"# {field.description}{secret}", f"# Variable: {field.alias}", f"# {name} = {value}"]
    return "\n".join(lines) + "\n"


def _example(name: str, default: object) -> str:
    """The default in TOML, or an example where there is none."""
    if isinstance(default, int):
        return str(default)
    return EXAMPLES.get(name) or f'"{default}"'


def miner_codes() -> str:
    """Codes of refused submissions: the miner has to act."""
    return _codes(("code", "what to do"), Fault.MINER)


def user_codes() -> str:
    """Codes of commands that were called wrongly or lack something."""
    rows = [
        (f"`{code}`", str(2 if code in USAGE_CODES else 1), info.help)
        for code, info in CODES.items()
        if info.fault is Fault.USER
    ]
    return _table(("code", "exit code", "what to do"), rows)


def validator_codes() -> str:
    """Codes that the operator of a validator has to act on."""
    return _codes(("code", "what to do"), Fault.VALIDATOR)


def network_codes() -> str:
    """Codes of trouble outside, which is waited for."""
    return _codes(("code", "what to do"), Fault.NETWORK)


def provable_fields() -> str:
    """What `competition show` prints about the numbers of the rules."""
    fields = Provable.model_fields.items()
    described = [(f"`{name}`", field.description) for name, field in fields if field.description]
    return _table(("field", "meaning"), described)


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "miner-codes": miner_codes,
    "user-codes": user_codes,
    "validator-codes": validator_codes,
    "network-codes": network_codes,
    "provable": provable_fields,
}


def render(page: str) -> str:
    """The page with every table between markers made anew. Raises KeyError for an unknown name."""
    return REGION.sub(lambda found: f"{found[1]}{TABLES[found['name']]()}{found[3]}", page)


def _codes(head: tuple[str, str], fault: Fault) -> str:
    return _table(head, [(f"`{code}`", info.help) for code, info in CODES.items() if info.fault is fault])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    EXAMPLE.write_text(settings_example(), encoding="utf-8")
    for path in sorted(DOCS.rglob("*.md")):
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
