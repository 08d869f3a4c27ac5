"""All objects of one kind, and the journal of their changes."""

from collections import deque
from itertools import takewhile

import msgspec

from responder.demo.resources import Json, Resource
from responder.demo.status import expired, expired_continue

Key = tuple[str, str]  # namespace ("" for what has none), name


class Change(msgspec.Struct, frozen=True):
    version: int
    type: str  # ADDED, MODIFIED, DELETED
    kind: str
    object: Json
    old: Json | None  # before it; None for ADDED


def key_of(item: Json) -> Key:
    meta = item["metadata"]
    return meta.get("namespace", ""), meta["name"]


class Shelf:
    def __init__(self, resource: Resource, history: int) -> None:
        self.resource = resource
        self.items: dict[Key, Json] = {}
        self.floor = 0  # changes up to this version are forgotten
        self._journal: deque[Change] = deque(maxlen=history)

    def record(self, change: Change) -> None:
        if len(self._journal) == self._journal.maxlen:
            self.floor = self._journal[0].version
        self._journal.append(change)
        if change.type == "DELETED":
            del self.items[key_of(change.object)]
        else:
            self.items[key_of(change.object)] = change.object

    def forget(self, version: int) -> None:
        """Compaction: changes up to this version are gone."""
        self.floor = max(self.floor, version)
        while self._journal and self._journal[0].version <= version:
            self._journal.popleft()

    def since(self, version: int) -> list[Change]:
        """Later changes, oldest first. Raises 410 when some of them are forgotten."""
        if version < self.floor:
            raise expired(version, self.floor)
        later = takewhile(lambda change: change.version > version, reversed(self._journal))
        return list(later)[::-1]

    def at(self, version: int) -> dict[Key, Json]:
        """The objects as they were at that version. Raises 410 when it is forgotten."""
        if version < self.floor:
            raise expired_continue()
        items = dict(self.items)
        for change in reversed(self.since(version)):
            if change.old is None:
                del items[key_of(change.object)]
            else:
                items[key_of(change.object)] = change.old
        return items
