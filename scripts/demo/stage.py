"""The demo's stage: runs the product's commands as separate processes, times them, and clears up.

Each child has its own process group and log; a child that dies fails the demo with the end of its log.
Everything is stopped in reverse order, by handle.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

STOP_TIMEOUT_S = 15.0
POLL_S = 0.25


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


@dataclass
class Stage:
    """Where the demo plays: its directory, its environment, its running children and its clock."""

    root: Path
    console: Console
    environment: Mapping[str, str]
    seconds: dict[str, float] = field(default_factory=dict)
    _running: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)

    @contextmanager
    def scene(self, name: str, title: str) -> Iterator[Callable[[str], None]]:
        """Time one named part; the value handed out updates the line that is shown meanwhile."""
        began = time.monotonic()
        with self.console.status(title) as status:
            yield lambda text: status.update(f"{title}: {text}")
        self.seconds[name] = round(time.monotonic() - began, 1)
        self.console.print(f"[green]✓[/] {title} [dim]{self.seconds[name]:.0f} s[/]")

    def log(self, name: str) -> Path:
        """Log file of a child."""
        folder = self.root / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.log"

    def start(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a child that runs beside the demo until it ends or the demo does."""
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                [*_resolved(command)],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**self.environment, **environment},
                start_new_session=True,
            )
        self._running.append((name, child))
        return child

    def finish(self, name: str, child: subprocess.Popen[bytes]) -> str:
        """Wait for a child and return what it printed. Raises DemoError when it failed."""
        printed, _ = child.communicate()
        self._running = [item for item in self._running if item[1] is not child]
        if child.returncode != 0:
            raise DemoError(
                f"{name} ended with exit code {child.returncode}\n{self._tail(name)}{printed.decode()}"
            )
        return printed.decode()

    def run(self, name: str, *command: str, **environment: str) -> str:
        """Run a command to its end."""
        return self.finish(name, self.start(name, *command, **environment))

    def run_json(self, name: str, *command: str, **environment: str) -> Any:
        """Run a command with `--json` and return the document that it prints."""
        return json.loads(self.run(name, *command, "--json", **environment))

    def wait(self, what: str, ready: Callable[[], Any], *, timeout_s: float) -> Any:
        """Ask until `ready` gives something true. Raises DemoError when a child dies or time runs out."""
        deadline = time.monotonic() + timeout_s
        while not (found := ready()):
            for name, child in self._running:
                if child.poll() not in {None, 0}:
                    raise DemoError(f"{name} died with exit code {child.returncode}\n{self._tail(name)}")
            if time.monotonic() > deadline:
                raise DemoError(f"gave up after {timeout_s:.0f} s waiting for {what}")
            time.sleep(POLL_S)
        return found

    def stop_all(self) -> None:
        """End every child that still runs, the last one started first."""
        for name, child in reversed(self._running):
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
            try:
                child.communicate(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.console.print(f"[yellow]{name} did not stop; it is killed[/]")
                os.killpg(child.pid, signal.SIGKILL)
                child.communicate()
        self._running.clear()

    def _tail(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").splitlines()[-25:]
        return "\n".join(lines) + "\n"


def peak_memory_mb() -> int:
    """Largest resident size of any child that has ended, in megabytes."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def _resolved(command: tuple[str, ...]) -> tuple[str, ...]:
    """Console scripts from beside this interpreter, whatever PATH says."""
    first = Path(sys.executable).parent / command[0]
    return (str(first), *command[1:]) if first.exists() else command
