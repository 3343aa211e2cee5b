"""One process that looks at a chain until it is killed; started by test_production.py."""

import sys
import time
from pathlib import Path

from localnet.chain import Chain


def main() -> None:
    chain = Chain(Path(sys.argv[1]))
    while True:
        chain.make_due_block()
        time.sleep(0.001)


if __name__ == "__main__":
    main()
