"""One watch: what a client that listed at some version is told from then on."""

from collections.abc import Callable

import msgspec

from responder.demo.listing import metadata_of
from responder.demo.objects import Objects
from responder.demo.resources import Json
from responder.demo.selectors import Selector
from responder.demo.shelf import Change
from responder.demo.status import ApiFault


class WatchOptions(msgspec.Struct, frozen=True):
    kind: str
    chosen: Selector
    metadata_only: bool
    since: int | None  # None: begin with what there is now
    bookmarks: bool
    eager_bookmarks: bool  # a bookmark after every change of anything, not only now and then
    timeout: float | None  # seconds


class Watch:
    """``take`` gives the lines that are due; ``ended`` says that none will follow; ``subscribe`` tells when to look."""

    def __init__(self, objects: Objects, options: WatchOptions) -> None:
        self.options = options
        self.ended = False
        self._lost = False
        self._objects = objects
        self._first = options.since is None
        self._position = objects.resource_version if options.since is None else options.since
        self._bookmarked = self._position
        self._bookmark_due = False

    def subscribe(self, waker: Callable[[], None]) -> Callable[[], None]:
        def noticed(change: Change) -> None:
            if self._eager() or change.kind == self.options.kind:
                waker()

        return self._objects.subscribe(noticed)

    def ask_bookmark(self) -> None:
        """The next ``take`` ends with one, if the client wanted bookmarks."""
        self._bookmark_due = self.options.bookmarks

    def end(self) -> None:
        """Its time is over: what is due may still be taken."""
        self.ended = True

    def take(self) -> bytes:
        if self._lost:
            return b""
        lines = [*self._initial()] if self._first else []
        self._first = False
        try:
            changes = self._objects.since(self.options.kind, self._position)
        except ApiFault as fault:
            self.ended = self._lost = True
            return b"".join([*lines, _line("ERROR", fault.body())])
        lines += [line for change in changes for line in self._shown(change)]
        self._position = max(self._position, self._objects.resource_version)
        if self._bookmark_due or (self._eager() and self._bookmarked < self._position):
            lines.append(self._bookmark())
        return b"".join(lines)

    def _eager(self) -> bool:
        return self.options.eager_bookmarks and self.options.bookmarks

    def _initial(self) -> list[bytes]:
        items = self._objects.list(self.options.kind, version=self._position)
        return [self._line("ADDED", item) for item in items if self.options.chosen(item)]

    def _shown(self, change: Change) -> list[bytes]:
        """With a selector, an object that comes to match is ADDED, one that ceases to is DELETED."""
        is_in = change.type != "DELETED" and self.options.chosen(change.object)
        was_in = change.old is not None and self.options.chosen(change.old)
        if not is_in and not was_in:
            return []
        event_type = "MODIFIED" if is_in and was_in else "ADDED" if is_in else "DELETED"
        return [self._line(event_type, change.object)]

    def _bookmark(self) -> bytes:
        self._bookmark_due, self._bookmarked = False, self._position
        resource = self._objects.resource(self.options.kind)
        meta = {"resourceVersion": str(self._position), "creationTimestamp": None}
        mark = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
        return self._line("BOOKMARK", mark)

    def _line(self, event_type: str, item: Json) -> bytes:
        return _line(event_type, metadata_of(item) if self.options.metadata_only else item)


def _line(event_type: str, item: Json) -> bytes:
    return msgspec.json.encode({"type": event_type, "object": item}) + b"\n"
