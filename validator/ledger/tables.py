"""Tables of the ledger, their keys and their invariants.

Every table has `created_block`, the head when the row was written. JSON columns hold frozen wire
models. Deletion never happens; states move only along `transitions.py`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

BlockColumn = BigInteger().with_variant(Integer, "sqlite")


class Table(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON, int: BlockColumn}

    created_block: Mapped[int] = mapped_column(default=0)


class MetaRow(Table):
    """The world that this ledger belongs to: exactly one row."""

    __tablename__ = "meta"
    one: Mapped[int] = mapped_column(primary_key=True, default=1)
    genesis_hash: Mapped[str]
    netuid: Mapped[int]
    hotkey: Mapped[str]
    next_round: Mapped[int | None]
    """First round that intake has not written; none before the first competition."""
    head: Mapped[int] = mapped_column(default=0)
    """Newest finalised block that the loop has seen."""
    head_time: Mapped[int] = mapped_column(default=0)
    """When it was seen, Unix seconds."""
    __table_args__ = (CheckConstraint("one = 1", name="single"),)


class CompetitionRow(Table):
    """Rules that were in force, by digest."""

    __tablename__ = "competitions"
    digest: Mapped[str] = mapped_column(primary_key=True)
    rules: Mapped[dict[str, Any]]


class RoundRow(Table):
    """A closed round. What the chain fixed never changes; `state` and what follows from it move on."""

    __tablename__ = "rounds"
    competition: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    close_block: Mapped[int]
    close_hash: Mapped[str]
    next_hash: Mapped[str]
    """Hash of block close + 1: the source of the seed."""
    seed: Mapped[str]
    slots: Mapped[int | None]
    """n_r: slots given to this round; none before the round before it is settled."""
    source: Mapped[str]
    state: Mapped[str] = mapped_column(default="open")
    trial: Mapped[int | None]
    """t: how many rounds of the reign have had duels, this one included; none without duels."""
    alpha: Mapped[float | None]
    """Error budget of each duel that begins in this round; none without duels."""
    drawn: Mapped[bool] = mapped_column(default=False)
    """Whether the round's draw counts as used up: fixed when its duels start, by what all validators know."""
    champion: Mapped[str | None]
    """Model that the duels of this round are against; none before they start."""
    __table_args__ = (CheckConstraint("state in ('open','slotted','dueling','settled')", name="state"),)


class SubmissionRow(Table):
    """One hotkey's commitment, from the first close at which it was seen."""

    __tablename__ = "submissions"
    hotkey: Mapped[str] = mapped_column(primary_key=True)
    commit_block: Mapped[int] = mapped_column(primary_key=True)
    competition: Mapped[str]
    digest: Mapped[str | None] = mapped_column(index=True)
    """Committed digest; none when the commitment was malformed."""
    locator: Mapped[str | None]
    seen_round: Mapped[int]
    gone_round: Mapped[int | None]
    """First round at whose close it was live no more; such a round and later ones give it no slot."""
    round: Mapped[int | None]
    """Round that gave it a slot; none while it waits."""
    rank: Mapped[int | None]
    """Priority inside its round, from 0."""
    state: Mapped[str]
    model: Mapped[str | None]
    """Manifest digest, once admitted."""
    manifest: Mapped[dict[str, Any] | None]
    code: Mapped[str | None]
    message: Mapped[str | None]
    fault: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_block: Mapped[int] = mapped_column(default=0)
    fetch_from: Mapped[int | None]
    """Block that its fetch window counts from: the close, or later when we could not look before."""
    settled_round: Mapped[int | None]
    """Round in whose statement it ended."""
    __table_args__ = (
        CheckConstraint(
            "state in ('waiting','slotted','admitted','dueling','parked',"
            "'settled','rejected','withheld','expired')",
            name="state",
        ),
        Index("ix_submissions_round_rank", "round", "rank"),
    )


class TensorsRow(Table):
    """First submission of each exact set of tensors."""

    __tablename__ = "tensors"
    root: Mapped[str] = mapped_column(primary_key=True)
    hotkey: Mapped[str]
    commit_block: Mapped[int]


class CompletionRow(Table):
    """A scored completion, written once and shared by all duels that need it."""

    __tablename__ = "samples"
    model: Mapped[str] = mapped_column(primary_key=True)
    prompt: Mapped[str] = mapped_column(primary_key=True)
    seed: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    body: Mapped[dict[str, Any]]


class DuelRow(Table):
    """One challenger against one champion."""

    __tablename__ = "duels"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    hotkey: Mapped[str]
    commit_block: Mapped[int]
    challenger: Mapped[str]
    champion: Mapped[str]
    round: Mapped[int]
    """Round whose draw it takes prompts from; the first, until it is carried."""
    alpha: Mapped[float]
    state: Mapped[str]
    log_wealth: Mapped[float] = mapped_column(default=0.0)
    """Evidence against H0 at the last look, natural log."""
    verdict: Mapped[dict[str, Any] | None]
    __table_args__ = (
        UniqueConstraint("hotkey", "commit_block", "champion"),
        CheckConstraint("state in ('open','carried','closed','ended')", name="state"),
    )


class DuelPromptRow(Table):
    """One prompt of a duel; rows of a duel are a gapless prefix of its draws."""

    __tablename__ = "duel_rows"
    duel: Mapped[str] = mapped_column(ForeignKey("duels.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    round: Mapped[int]
    prompt: Mapped[str]
    slice: Mapped[str]
    challenger_seeds: Mapped[list[Any]]
    champion_seeds: Mapped[list[Any]]
    s_challenger: Mapped[float]
    s_champion: Mapped[float]
    d: Mapped[float]
    d_fresh: Mapped[float | None]
    extra_tokens: Mapped[float]
    kl: Mapped[float]
    identical: Mapped[bool]
    leaf: Mapped[str]
    """Leaf hash of the whole row, so that settling need not build the row again."""
    __table_args__ = (CheckConstraint("d >= -1 and d <= 1", name="range"),)


class ReignRow(Table):
    """Who was champion from which round; one open reign at a time, without gaps."""

    __tablename__ = "reigns"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    competition: Mapped[str]
    model: Mapped[str]
    hotkey: Mapped[str | None]
    """None for the base model."""
    from_round: Mapped[int]
    to_round: Mapped[int | None]


class RecordRow(Table):
    """A won duel that was crowned: the only source of money."""

    __tablename__ = "records"
    duel: Mapped[str] = mapped_column(ForeignKey("duels.id"), primary_key=True)
    hotkey: Mapped[str]
    model: Mapped[str]
    round: Mapped[int]
    gain: Mapped[float]
    __table_args__ = (CheckConstraint("gain >= 0", name="gain"),)


class StatementRow(Table):
    """A signed statement, own or a peer's."""

    __tablename__ = "statements"
    author: Mapped[str] = mapped_column(primary_key=True)
    competition: Mapped[str] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str]
    body: Mapped[dict[str, Any]]
    signature: Mapped[str]


class WeightSetRow(Table):
    """Outbox of weight vectors: at most one is planned or submitted at a time."""

    __tablename__ = "weight_sets"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    round: Mapped[int]
    vector: Mapped[dict[str, Any]]
    """Hotkey to share; the shares sum to 1."""
    uids: Mapped[dict[str, Any]]
    """UID to the u16 weight expected on chain."""
    state: Mapped[str]
    reason: Mapped[str | None]
    since_block: Mapped[int]
    """LastUpdate of our UID before the submission."""
    done_block: Mapped[int | None]
    __table_args__ = (CheckConstraint("state in ('planned','submitted','confirmed','failed')", name="state"),)


class EventRow(Table):
    """Append-only feed of what happened."""

    __tablename__ = "events"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    kind: Mapped[str]
    body: Mapped[dict[str, Any]]
