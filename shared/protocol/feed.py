"""The feed of a validator's HTTP API: what happened, oldest first, key by key from a fixed list."""

from __future__ import annotations

from shared.protocol.wire import Wire


class EventView(Wire):
    """One entry of the feed."""

    id: int
    kind: str
    block: int
    body: dict[str, str | int | float | bool | None]


class EventPage(Wire):
    """Entries after a given id, oldest first."""

    items: tuple[EventView, ...]
    last_id: int
    """Pass as `after` to go on."""
