"""Real protocol servers on loopback, for tests in any area: an S3 host and a Hub."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = ("tests.fixtures.kinds", "tests.fixtures.models", "tests.fixtures.tiny")

settings.register_profile("untimed", deadline=None)  # a busy machine is no defect
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _no_keys_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in os.environ if name.startswith(("AWS_", "HF_TOKEN", "HF_ENDPOINT", "AGON_S3"))
    ]:
        monkeypatch.delenv(name)


@pytest.fixture
def hub() -> Iterator[Any]:
    """A Hub that speaks huggingface_hub's protocol; `tests/fixtures/hub_server.py` has its fields."""
    from tests.fixtures.hub_server import serve_hub

    with serve_hub() as world:
        yield world


@dataclass(frozen=True)
class S3Host:
    """moto's S3 server, a bucket in it, and a client of its owner."""

    url: str
    host: str
    client: Any

    def objects(self, bucket: str = "models") -> dict[str, int]:
        """Every object of a bucket with its size."""
        found = self.client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {one["Key"]: one["Size"] for one in found}

    def open_prefix(self, prefix: str, bucket: str = "models") -> None:
        """Let everybody read below a prefix, as docs/miner.md says."""
        rule = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/{prefix}*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
        self.client.put_bucket_policy(Bucket=bucket, Policy=policy)


@pytest.fixture(scope="session")
def _moto() -> Iterator[S3Host]:
    from botocore.session import Session
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    owner = {"aws_access_key_id": "owner", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    client = Session().create_client("s3", endpoint_url=url, **owner)
    yield S3Host(url, f"{host}:{port}", client)
    client.close()
    server.stop()


@pytest.fixture
def s3_host(_moto: S3Host) -> Iterator[S3Host]:
    """An S3 host on loopback with an empty bucket `models`, which nobody but its owner can read."""
    from moto.backends import get_backend

    _moto.client.create_bucket(Bucket="models")
    yield _moto
    get_backend("s3").reset()
