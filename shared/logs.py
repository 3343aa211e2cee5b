"""Set-up of log lines: events with fields, on stderr, for people or for machines.

Command lines call `set_up_logs` once; library modules only use `structlog.get_logger()`. stdout stays
free for data.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog


def set_up_logs(log_format: Literal["console", "json"], *, verbose: bool = False) -> None:
    """Write structlog events and the warnings of foreign libraries to stderr."""
    level = logging.DEBUG if verbose else logging.INFO
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # stderr as it is when a line is written: it may have been redirected since
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[_drop_meta, renderer], foreign_pre_chain=shared)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.WARNING)


_drop_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
