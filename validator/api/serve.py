"""Serving: the HTTP API as a process of its own, beside the loop and without its keys."""

from __future__ import annotations


def serve(ledger_url: str, host: str, port: int, *, block_time_s: float = 12.0) -> None:
    """Serve the ledger at `ledger_url` until interrupted; port 0 picks a free one and logs it.

    `block_time_s` is the chain's expected block time: /health tells the age of the head by it.
    """
    import uvicorn

    from validator.api.app import create_app

    app = create_app(ledger_url, block_time_s=block_time_s)
    uvicorn.run(app, host=host, port=port, log_level="warning" if port else "info", access_log=False)
