"""Log lines go to stderr with their fields, whoever writes them; stdout stays free for data."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import logging, structlog
from shared.logs import set_up_logs
set_up_logs("{log_format}")
structlog.get_logger().info("weights set", block=7)
structlog.get_logger().debug("hidden")
logging.getLogger("foreign").warning("socket %s", "slow")
print("data")
"""


def lines(log_format: str) -> list[str]:
    script = SCRIPT.format(log_format=log_format)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "data\n"
    return done.stderr.splitlines()


def test_machines_read_one_json_document_a_line() -> None:
    ours, foreign = (json.loads(line) for line in lines("json"))
    assert {key: ours[key] for key in ("event", "level", "block")} == {
        "event": "weights set",
        "level": "info",
        "block": 7,
    }
    assert (foreign["event"], foreign["level"]) == ("socket slow", "warning")


def test_people_read_the_event_and_its_fields() -> None:
    ours, foreign = lines("console")
    assert "weights set" in ours
    assert "block=7" in ours
    assert "socket slow" in foreign
