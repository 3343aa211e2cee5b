"""Every error that Agon raises on purpose: one code, one sentence, one help line, one fault.

A bad checkpoint is a record; a bad validator is an exception. `Rejection` is the record-to-be: the
caller stores it and goes on. All other errors end the command or park the work at hand.
The table below is the only list of codes; the docs and the exit codes are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Who has to act before the same thing can succeed."""

    MINER = "miner"
    VALIDATOR = "validator"
    NETWORK = "network"
    USER = "user"


@dataclass(frozen=True)
class CodeInfo:
    """What is the same each time a code is raised."""

    fault: Fault
    help: str


CODES: dict[str, CodeInfo] = {
    # usage: the command was called wrongly (exit code 2)
    "usage": CodeInfo(Fault.USER, "see --help"),
    "network_missing": CodeInfo(
        Fault.USER, "pass --network (embedded, local, test, finney or a ws:// URL) or set BT_NETWORK"
    ),
    "network_unknown": CodeInfo(
        Fault.USER, "use embedded, local, test, finney, archive, or a ws:// or wss:// URL"
    ),
    "wallet_missing": CodeInfo(Fault.USER, "create it with `btcli wallet create`, or pass --wallet and -H"),
    "wallet_locked": CodeInfo(Fault.USER, "set BT_WALLET_PASSWORD or BT_WALLET_PASSWORD_FILE"),
    "settings_invalid": CodeInfo(
        Fault.USER, "correct the named setting in the flag, environment or agon.toml"
    ),
    # registration and money
    "not_registered": CodeInfo(Fault.USER, "run `agon-miner register` first"),
    "price_too_high": CodeInfo(
        Fault.USER, "raise --max-burn or wait: the price halves every few hundred blocks"
    ),
    "insufficient_balance": CodeInfo(Fault.USER, "fund the coldkey and try again"),
    "chain_rejected": CodeInfo(
        Fault.USER, "read the chain's own error above; `btcli explain` has the long form"
    ),
    "rate_limited": CodeInfo(Fault.NETWORK, "wait for the chain's rate limit; it will be tried again"),
    "submission_open": CodeInfo(
        Fault.USER,
        "finish it with `agon-miner submit --resume`, or give up its place in the queue with --replace",
    ),
    "not_in_queue": CodeInfo(
        Fault.USER, "see why with `agon-miner status`; commit anew with `agon-miner submit --replace`"
    ),
    # competition documents
    "competition_invalid": CodeInfo(Fault.VALIDATOR, "correct the named field in the competition file"),
    "competition_unpublished": CodeInfo(
        Fault.VALIDATOR, "publish the competition with `agon-validator competition publish`"
    ),
    "bundle_damaged": CodeInfo(Fault.VALIDATOR, "fetch or build the competition's bundle again"),
    "pool_too_small": CodeInfo(Fault.VALIDATOR, "add prompts or lower prompts.max and prompts.gain"),
    "prompts_invalid": CodeInfo(
        Fault.USER,
        'write one JSON object a line: {"id": "w-1", "slice": "words", "cluster": "c-1", "text": "...", "params": {"words": 12}}',
    ),
    "base_invalid": CodeInfo(
        Fault.USER, "use a base that its own rules admit, or correct the named field of the rules"
    ),
    "base_gated": CodeInfo(
        Fault.USER,
        "raise sampling.limits.new_tokens, or change the prompts, until the base ends its completions",
    ),
    "pool_exhausted": CodeInfo(
        Fault.VALIDATOR, "publish rules with a larger pool, or lower prompts.max and prompts.gain"
    ),
    "judge_invalid": CodeInfo(
        Fault.VALIDATOR, "use a sequence-classification checkpoint with exactly one label"
    ),
    "judge_non_finite": CodeInfo(
        Fault.VALIDATOR, "retire this judge: it returned a number that is not finite"
    ),
    "judge_unavailable": CodeInfo(
        Fault.USER, "check the judge's source: a directory, hf://org/repo or s3://host/bucket/prefix"
    ),
    "judge_unreachable": CodeInfo(Fault.NETWORK, "check that the judge's server answers, and try again"),
    "judge_refused": CodeInfo(Fault.USER, "check the judge's address, its model's name and the key"),
    "judge_unclear": CodeInfo(
        Fault.USER, "use a model that follows instructions: it has to answer A or B and nothing else"
    ),
    "temperature_too_high": CodeInfo(
        Fault.VALIDATOR,
        "build again with the named temperature in the rules, or miners can win with sharper logits alone",
    ),
    "verifier_invalid": CodeInfo(
        Fault.VALIDATOR, "use a verifier that fits the named answer, or correct the prompt's parameters"
    ),
    # what is committed on chain
    "malformed_commitment": CodeInfo(
        Fault.MINER, "commit one Raw field `agon1:<digest>:<locator>` with `agon-miner submit`"
    ),
    "locator_invalid": CodeInfo(
        Fault.MINER, "use hf://org/repo, s3://host/bucket/prefix or, on a local network, file:NAME"
    ),
    "withheld": CodeInfo(
        Fault.MINER, "publish the committed files inside the fetch window and keep them readable"
    ),
    "commitment_mismatch": CodeInfo(
        Fault.MINER, "the manifest served is not the one committed; submit again"
    ),
    # admission of checkpoints
    "manifest_invalid": CodeInfo(Fault.MINER, "make the manifest with `agon-miner package`"),
    "file_forbidden": CodeInfo(
        Fault.MINER, "only safetensors files and plain model metadata are accepted; never pickle"
    ),
    "too_large": CodeInfo(Fault.MINER, "stay inside the competition's limits on bytes and files"),
    "digest_mismatch": CodeInfo(Fault.MINER, "run `agon-miner check` and publish the packaged files again"),
    "header_invalid": CodeInfo(Fault.MINER, "save the tensors again with safetensors"),
    "architecture_mismatch": CodeInfo(
        Fault.MINER, "start from the competition's base model and keep its tensor names and shapes"
    ),
    "dtype_forbidden": CodeInfo(Fault.MINER, "save the tensors in a dtype that the competition allows"),
    "config_forbidden": CodeInfo(Fault.MINER, "drop custom code and quantisation from config.json"),
    "non_finite_weights": CodeInfo(
        Fault.MINER, "train again from the last good checkpoint: a tensor holds NaN or infinity"
    ),
    "norm_out_of_bounds": CodeInfo(Fault.MINER, "keep every tensor inside the competition's norm bounds"),
    "duplicate": CodeInfo(Fault.MINER, "submit tensors of your own: these tensors were committed earlier"),
    "non_finite_policy": CodeInfo(
        Fault.MINER, "the policy produced logits that are not finite; check it on long inputs"
    ),
    # the world
    "store_unreachable": CodeInfo(Fault.NETWORK, "the store did not answer; it will be asked again"),
    "store_denied": CodeInfo(
        Fault.USER, "check the keys or the token and what they may write: `Locators` in docs/miner.md"
    ),
    "store_full": CodeInfo(
        Fault.USER, "make room in the store or raise its quota, and give the command again"
    ),
    "store_exposed": CodeInfo(
        Fault.USER, "name a place that nobody else can read before the slot: `Locators` in docs/miner.md"
    ),
    "api_unreachable": CodeInfo(Fault.NETWORK, "check the address given as --api, and try again"),
    "chain_unreachable": CodeInfo(Fault.NETWORK, "the chain endpoint did not answer; it will be asked again"),
    "state_pruned": CodeInfo(Fault.VALIDATOR, "configure an archive endpoint"),
    "log_invalid": CodeInfo(
        Fault.VALIDATOR,
        "the governance log served is not the one committed; its author must publish it again",
    ),
    "signature_invalid": CodeInfo(Fault.VALIDATOR, "the document was not signed by the key that it names"),
    # the validator's own house
    "chain_mismatch": CodeInfo(
        Fault.VALIDATOR, "this ledger belongs to another chain or subnet: use another --ledger"
    ),
    "state_in_use": CodeInfo(
        Fault.USER, "stop that process first, or give this one a --state directory of its own"
    ),
    "ledger_newer": CodeInfo(Fault.VALIDATOR, "upgrade Agon: this ledger was written by a newer version"),
    "ledger_missing": CodeInfo(Fault.VALIDATOR, "run `agon-validator run` first, or pass --ledger"),
    "ledger_conflict": CodeInfo(
        Fault.VALIDATOR, "the ledger already holds another value under this key; restore a backup"
    ),
    "child_failed": CodeInfo(Fault.VALIDATOR, "see the child's log; the work is tried again"),
    "not_found": CodeInfo(Fault.USER, "check the identifier; `/v1/leaderboard` lists what exists"),
    "no_data": CodeInfo(Fault.USER, "nothing has been scored yet; try again after the next round"),
    "internal": CodeInfo(Fault.VALIDATOR, "look into the API process's log, which holds the traceback"),
    "interrupted": CodeInfo(Fault.USER, "start the command again: it resumes"),
    # base model and training
    "base_unavailable": CodeInfo(Fault.USER, "check the source, or pass a local directory as --base"),
    "training_failed": CodeInfo(
        Fault.USER, "lower the learning rate or check the data; the last good checkpoint is kept"
    ),
    "extra_missing": CodeInfo(Fault.USER, "install Agon with its extra: pip install 'agon[train]'"),
    "out_of_memory": CodeInfo(
        Fault.USER, "lower --batch (and raise --accumulate to match) or --lora-rank, and start anew"
    ),
    "resume_mismatch": CodeInfo(
        Fault.USER, "resume with the settings and files of the first start, or choose another --out"
    ),
    "champion_changed": CodeInfo(
        Fault.USER, "name the first parent with --from DIR to go on, or start anew in another --out"
    ),
    "data_invalid": CodeInfo(Fault.USER, "correct the named line and try again"),
}

USAGE_CODES = frozenset({"usage", "network_missing", "network_unknown", "settings_invalid"})
"""Codes that end a command with exit code 2; all others end it with 1."""


class AgonError(Exception):
    """An error with a code of `CODES`, a sentence that says what is wrong, and a help line."""

    def __init__(self, code: str, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        info = CODES[code]
        self.code = code
        self.message = message
        self.help = help or info.help
        self.fault = info.fault

    def to_dict(self) -> dict[str, str]:
        """The error as the CLI's `--json` and the API print it."""
        return {"code": self.code, "message": self.message, "help": self.help, "fault": str(self.fault)}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Rejection(AgonError):
    """A submission that is refused: the miner's fault, and a record rather than a crash."""


class TransientError(AgonError):
    """A fault of the world that may pass: retried with back-off, never counted against a miner."""
