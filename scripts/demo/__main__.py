"""Agon on one machine, offline: real policies compete on an embedded chain, and progress is paid.

    make demo                 SmolLM2-135M-Instruct as base; about ten minutes on two cores
    make demo TINY=1          the same code with two-layer models made from a seed
    python -m scripts.demo --seed 1 --serve

An honest miner improves the base by DPO and submits; a copycat, a noised copy, a miner that games length
and a hostile one try their luck. Owner, validator, API and miners are separate processes that run the
product's own commands. Nothing is decided here: the end is whatever the chain and the API say.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from scripts.demo.acts import Play
from scripts.demo.report import judge_summary, print_report, write_summary
from scripts.demo.stage import DemoError, Stage

WIDTH = 120
"""Columns of the report where there is no terminal to ask."""


def main() -> int:
    """Play the demo; 0 when the honest miner, and no other miner, is paid."""
    options = read_options()
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH)
    shutil.rmtree(options.root, ignore_errors=True)
    options.root.mkdir(parents=True)
    stage = Stage(options.root, console, environment(options.root))
    signal.signal(signal.SIGTERM, _interrupt)  # a supervisor's stop clears up as Ctrl-C does
    play = Play(stage, seed=options.seed, tiny=options.tiny, port=options.port)
    try:
        play.perform()
        summary = write_summary(play)
        print_report(console, play, summary)
        if options.serve:
            console.print("serving; Ctrl-C ends it")
            play.api.wait()
        return judge_summary(console, summary)
    except DemoError as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        stage.stop_all()


def _interrupt(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would interrupt the clearing up
    raise KeyboardInterrupt


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of chain, prompts, judges and training")
    parser.add_argument("--tiny", action="store_true", help="two-layer models made from the seed")
    parser.add_argument("--serve", action="store_true", help="keep the API up at the end")
    parser.add_argument("--port", type=int, default=8091, help="port of the API; 0 picks a free one")
    parser.add_argument("--root", type=Path, default=Path(".agon/demo"), help="directory that is made anew")
    return parser.parse_args()


def environment(root: Path) -> dict[str, str]:
    """What every process of the demo is told."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BT_", "AGON_"))}
    cache = os.environ.get("AGON_CACHE")
    return {
        **kept,
        **({"AGON_CACHE": cache} if cache else {}),
        "BT_NETWORK": "embedded",
        "BT_WALLET_PATH": str(root / "wallets"),
        "AGON_LOCALNET": str(root / "chain.db"),
        "AGON_STORE": str(root / "store"),
        "AGON_STATE": str(root / "state"),
        "HF_HUB_OFFLINE": "1",
        # idle threads that spin slow a busy machine down many times over
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
    }


if __name__ == "__main__":
    sys.exit(main())
