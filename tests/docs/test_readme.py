"""What the README shows on its first screen is made by code: the picture and the verdict that it explains."""

from __future__ import annotations

import runpy
import tarfile
from pathlib import Path
from xml.etree import ElementTree

from validator.api.answers import find_submissions
from validator.ledger.database import open_reader

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHIVE = ROOT / "tests" / "golden" / "version-0.1.0.tar.xz"
WINNER = "5CypBYPchZo3mhQRr8HYSTFHnw92tkYeSK2jpjA5Rqvvi4pz"


def test_the_picture_of_the_four_steps_is_what_its_script_draws() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "figures.py"))
    drawn = script["steps"]()
    assert script["PATH"].read_text(encoding="utf-8") == drawn
    assert f"]({script['PATH'].relative_to(ROOT).as_posix()})" in README
    ElementTree.fromstring(drawn)


def test_the_verdict_that_it_explains_is_one_of_a_real_demo(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    reader = open_reader(f"sqlite:///{tmp_path / 'ledger' / 'ledger.db'}")
    [view] = reader.run(find_submissions, WINNER).items
    assert f"```text\n{view.explanation}\n```" in README
