"""Git as Argo CD sees it: commits with their manifests; and what Argo CD reads out of a manifest."""

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from responder.core.hooknaming import delete_policies, hook_types
from responder.demo.resources import Json

WAVE = "argocd.argoproj.io/sync-wave"
ANY_KIND_GROUPS = {"Job": "batch", "Deployment": "apps", "CronJob": "batch"}


class Repository:
    """One branch for each URL; the newest commit is its head."""

    def __init__(self) -> None:
        self._commits: dict[str, list[tuple[str, tuple[Json, ...]]]] = {}
        self._watchers: list[Callable[[str], None]] = []

    def commit(self, url: str, manifests: Sequence[Json]) -> str:
        """The new head's hash, the same in every run."""
        commits = self._commits.setdefault(url, [])
        seed = msgspec.json.encode([url, len(commits), list(manifests)])
        revision = hashlib.sha1(seed, usedforsecurity=False).hexdigest()
        commits.append((revision, tuple(manifests)))
        for watcher in tuple(self._watchers):
            watcher(url)
        return revision

    def on_commit(self, watcher: Callable[[str], None]) -> None:
        self._watchers.append(watcher)

    def resolve(self, url: str, revision: str) -> str:
        """A hash stays what it is; a branch, or nothing, is the head."""
        commits = self._commits.get(url, [])
        if any(revision == known for known, _ in commits):
            return revision
        return commits[-1][0] if commits else ""

    def manifests(self, url: str, revision: str) -> tuple[Json, ...]:
        return next((m for known, m in self._commits.get(url, ()) if known == revision), ())


class Manifest(msgspec.Struct, frozen=True):
    """One object of a commit, and how Argo CD treats it."""

    body: Json
    kind: str
    name: str  # or the generateName prefix
    generated: bool
    hooks: tuple[str, ...]
    policies: tuple[str, ...]
    wave: int

    @property
    def group(self) -> str:
        return ANY_KIND_GROUPS.get(self.kind, "")

    @property
    def path(self) -> str:
        """As Argo CD names it in messages: ``batch/Job/db-migrate``."""
        return f"{self.group}/{self.kind}/{self.name}"


def read_manifest(body: Json) -> Manifest:
    meta = body["metadata"]
    annotations = meta.get("annotations") or {}
    return Manifest(
        body=body,
        kind=body["kind"],
        name=meta.get("name") or meta["generateName"],
        generated="name" not in meta,
        hooks=hook_types(annotations),
        policies=delete_policies(annotations),
        wave=int(annotations.get(WAVE, "0")),
    )
