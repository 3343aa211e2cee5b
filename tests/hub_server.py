"""A Hub on loopback: the endpoints that huggingface_hub calls, so that tests drive it unmodified."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

HUB_TOKEN = "hf_test"
LFS_BYTES = 10_000
"""The Hub keeps larger files, and all safetensors, outside git."""
PART_BYTES = 200
"""Large files are taken in parts of this size, so even a test's weights come in several."""


@dataclass
class Repo:
    """A repository: its commits, oldest first, each a whole tree of path to content."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that a branch or a hash names."""
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)

    def commit(self, tree: dict[str, bytes]) -> str:
        """Add a commit; returns its hash."""
        sha = hashlib.sha1(repr((len(self.commits), sorted(tree))).encode()).hexdigest()
        self.commits.append((sha, tree))
        return sha


@dataclass
class HubWorld:
    """What the Hub holds, and what it was asked."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Every request: method, path and whether it carried a token."""
    refuse: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    """Answers given in place of the real ones, by a part of `METHOD path`."""
    quota_bytes: int = 10**9

    def uploads(self) -> list[str]:
        """The requests that ended an upload of a large file."""
        return [line for line in self.asked if line.startswith("POST /lfs/")]


def _is_large(path: str, size_bytes: int) -> bool:
    return path.endswith(".safetensors") or size_bytes > LFS_BYTES


def _info(path: str, data: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n".encode()
    large = _is_large(path, len(data))
    blob = pointer if large else data
    info: dict[str, Any] = {
        "type": "file",
        "path": path,
        "size": len(data),
        "oid": hashlib.sha1(b"blob %d\0" % len(blob) + blob).hexdigest(),
    }
    if large:
        info["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": len(pointer)}
    return info


class _HubHandler(BaseHTTPRequestHandler):
    """The endpoints that huggingface_hub calls to create, fill, open and read a model repository."""

    protocol_version = "HTTP/1.1"
    world: HubWorld
    ROUTES = [
        ("POST", r"/api/repos/create", "create"),
        ("POST", r"/api/validate-yaml", "validate_yaml"),
        ("GET", r"/api/models/([^/]+/[^/]+)", "info"),
        ("GET", r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", "info"),
        ("POST", r"/api/models/([^/]+/[^/]+)/paths-info/([^/]+)", "paths_info"),
        ("POST", r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)", "preupload"),
        ("POST", r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", "commit"),
        ("PUT", r"/api/models/([^/]+/[^/]+)/settings", "settings"),
        ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
        ("PUT", r"/lfs/([0-9a-f]{64})/([0-9]+)", "upload"),
        ("POST", r"/lfs/([0-9a-f]{64})/complete", "complete"),
        ("(?:GET|HEAD)", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
        ("(?:GET|HEAD)", r"/cdn/([0-9a-f]{64})", "cdn"),
    ]

    def handle_one(self) -> None:
        """Answer one request of any method."""
        self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = unquote(urlsplit(self.path).path)
        self.owner = self.headers.get("authorization") == f"Bearer {HUB_TOKEN}"
        line = f"{self.command} {path}"
        self.world.asked.append(f"{line}{' with token' if 'authorization' in self.headers else ''}")
        for part, (status, headers, body) in self.world.refuse.items():
            if part in line:
                self.answer(status, body, headers)
                return
        for method, pattern, name in self.ROUTES:
            found = re.fullmatch(pattern, path)
            if found and re.fullmatch(method, self.command):
                getattr(self, name)(*found.groups())
                return
        self.answer(404, b"no such page")

    do_GET = do_HEAD = do_PUT = do_POST = handle_one  # noqa: N815 - the names are http.server's

    def answer(self, status: int, body: Any = b"", headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def repo(self, name: str, *, write: bool = False) -> Repo | None:
        """The repository, if the caller may know of it; otherwise the Hub's answer was given."""
        found = self.world.repos.get(name)
        if found is not None and (self.owner or not (found.private or write)):
            return found
        status = 401 if not self.owner else 404
        self.answer(status, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        return None

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if not self.owner:
            self.answer(401, {"error": "Invalid username or password."})
            return
        if name in self.world.repos:
            self.answer(409, {"url": f"{self.world.url}/{name}", "error": "You already created it"})
            return
        repo = self.world.repos[name] = Repo(private=asked.get("visibility") == "private")
        repo.commit({".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
        self.answer(200, {"url": f"{self.world.url}/{name}"})

    def validate_yaml(self) -> None:
        self.answer(200, {"errors": [], "warnings": []})

    def info(self, name: str, revision: str = "main") -> None:
        if (repo := self.repo(name)) is None:
            return
        commit = repo.at(revision)
        if commit is None:
            self.answer(404, {"error": "Invalid rev"}, {"X-Error-Code": "RevisionNotFound"})
            return
        found: dict[str, Any] = {"_id": "1", "id": name, "modelId": name}
        full = {"sha": commit[0], "private": repo.private, "siblings": [{"rfilename": p} for p in commit[1]]}
        wanted = parse_qs(urlsplit(self.path).query)
        expand = wanted.get("expand[]", wanted.get("expand", list(full)))
        self.answer(200, found | {key: full[key] for key in expand})

    def paths_info(self, name: str, revision: str) -> None:
        if (repo := self.repo(name)) is None:
            return
        tree = repo.at(revision)[1]
        paths = parse_qs(self.body.decode()).get("paths", [])
        self.answer(200, [_info(path, tree[path]) for path in paths if path in tree])

    def preupload(self, name: str, revision: str) -> None:
        if (repo := self.repo(name, write=True)) is None:
            return
        files = []
        for file in json.loads(self.body)["files"]:
            mode = "lfs" if _is_large(file["path"], file["size"]) else "regular"
            held = repo.at(revision)[1].get(file["path"])
            known = None if held is None else _info(file["path"], held)
            oid = known and (known.get("lfs") or known)["oid"]
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.answer(200, {"files": files})

    def batch(self, name: str) -> None:
        if self.repo(name, write=True) is None:
            return
        objects = []
        for one in json.loads(self.body)["objects"]:
            if one["oid"] in self.world.objects:
                objects.append(one)
                continue
            if one["size"] > self.world.quota_bytes:
                error = {"code": 403, "message": "Private repository storage limit reached"}
                objects.append({**one, "error": error})
                continue
            base, count = f"{self.world.url}/lfs/{one['oid']}", -(-one["size"] // PART_BYTES)
            parts = {str(n): f"{base}/{n}" for n in range(1, count + 1)}
            action = {"href": f"{base}/complete", "header": {"chunk_size": str(PART_BYTES), **parts}}
            objects.append({**one, "actions": {"upload": action}})
        self.answer(200, {"transfer": "multipart", "objects": objects})

    def upload(self, oid: str, number: str) -> None:
        self.world.parts.setdefault(oid, {})[int(number)] = self.body
        self.answer(200, b"", {"ETag": hashlib.md5(self.body).hexdigest()})

    def complete(self, oid: str) -> None:
        data = b"".join(part for _, part in sorted(self.world.parts.pop(oid).items()))
        if hashlib.sha256(data).hexdigest() != oid:
            self.answer(400, {"error": "not what was announced"})
            return
        self.world.objects[oid] = data
        self.answer(200, {})

    def commit(self, name: str, revision: str) -> None:
        if (repo := self.repo(name, write=True)) is None:
            return
        tree = dict(repo.at(revision)[1])
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "deletedFile":
                del tree[value["path"]]
            elif item["key"] == "file":
                tree[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                tree[value["path"]] = self.world.objects[value["oid"]]
        sha = repo.commit(tree)
        self.answer(200, {"commitUrl": f"{self.world.url}/{name}/commit/{sha}", "commitOid": sha})

    def settings(self, name: str) -> None:
        if (repo := self.repo(name, write=True)) is None:
            return
        repo.private = json.loads(self.body)["visibility"] == "private"
        self.answer(200, {"private": repo.private})

    def resolve(self, name: str, revision: str, path: str) -> None:
        if (repo := self.repo(name)) is None:
            return
        commit = repo.at(revision)
        if commit is None or path not in commit[1]:
            self.answer(404, b"Entry not found", {"X-Error-Code": "EntryNotFound"})
            return
        data, head = commit[1][path], {"X-Repo-Commit": commit[0]}
        info = _info(path, data)
        if "lfs" not in info:
            self.ranged(data, {**head, "ETag": f'"{info["oid"]}"'})
            return
        oid = info["lfs"]["oid"]
        self.world.objects[oid] = data
        linked = {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(data)), "ETag": f'"{oid}"'}
        self.answer(302, b"", {**head, **linked, "Location": f"/cdn/{oid}?Signature=secret"})

    def cdn(self, oid: str) -> None:
        self.ranged(self.world.objects[oid], {"ETag": f'"{oid}"'})

    def ranged(self, data: bytes, headers: dict[str, str]) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        if found is None:
            self.answer(200, data, headers)
            return
        start = int(found[1])
        if start >= len(data):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        span = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(206, data[start:], {**headers, "Content-Range": span})

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def serve_hub() -> Iterator[HubWorld]:
    """A Hub that answers until the block ends."""
    world = HubWorld()
    handler = type("Handler", (_HubHandler,), {"world": world})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    world.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield world
    server.shutdown()
    thread.join()
    server.server_close()
