"""The objects of a small cluster: what a Kubernetes API server keeps, with its rules for versions, deletion and owners.

Objects are replaced, never changed: readers get the stored object itself and must not write to it.
Every change takes the next resourceVersion of one counter and goes into the journal of its kind.
"""

import re
from collections.abc import Callable, Iterable

from responder.demo import admission, garbage, patches
from responder.demo.logs import PodLogs
from responder.demo.patches import MERGE, same
from responder.demo.resources import RESOURCES, Json, Resource
from responder.demo.selectors import by_labels
from responder.demo.shelf import Change, Shelf, key_of
from responder.demo.status import already_exists, bad_request, conflict, not_found
from responder.ports import Clock

Items = list[Json]
Changes = list[Change]
Subscriber = Callable[[Change], None]

KINDS = tuple(resource.kind for resource in RESOURCES)
_JOB_TRACKING = "batch.kubernetes.io/job-tracking"  # the Job controller would take it off
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


class Objects:
    """``kinds``: those that are declared, so that a missing CRD can be had.

    ``history``: changes kept of each kind. ``graceful_pods``: a running Pod that is deleted stays, marked,
    until somebody (the kubelet's part) deletes it with grace 0; otherwise it goes at once.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        kinds: Iterable[str] = KINDS,
        history: int = 100_000,
        graceful_pods: bool = False,
    ) -> None:
        wanted = frozenset(kinds)
        self.clock = clock
        self.logs = PodLogs()
        self.resources = tuple(resource for resource in RESOURCES if resource.kind in wanted)
        self._shelves = {resource.kind: Shelf(resource, history) for resource in self.resources}
        self._graceful_pods = graceful_pods
        self._version = 1  # 0 means "any" to a watch
        self._serial = 0
        self._subscribers: list[Subscriber] = []

    # Reading

    @property
    def resource_version(self) -> int:
        return self._version

    def resource(self, kind: str) -> Resource:
        return self._shelves[kind].resource

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        return self._shelves[kind].items.get((namespace, name))

    def get(self, kind: str, namespace: str, name: str) -> Json:
        found = self.find(kind, namespace, name)
        if found is None:
            raise not_found(self.resource(kind), name)
        return found

    def list(self, kind: str, namespace: str = "", *, labels: str = "", version: int | None = None) -> Items:
        """By namespace and name; of all namespaces when none is named; as it was at ``version``."""
        shelf = self._shelves[kind]
        items = shelf.items if version is None else shelf.at(version)
        chosen = by_labels(labels)
        return [items[key] for key in sorted(items) if namespace in ("", key[0]) and chosen(items[key])]

    def since(self, kind: str, version: int) -> Changes:
        """Later changes of that kind, oldest first. Raises 410 when some are forgotten."""
        return self._shelves[kind].since(version)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Called with each change, in order, after it is made; answers how to end that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def compact(self) -> None:
        """Forget all changes: a watch from one of them gets 410."""
        for shelf in self._shelves.values():
            shelf.forget(self._version)

    # Writing, by the server's rules. Everything raises ApiFault.

    def create(self, kind: str, item: Json, namespace: str = "") -> Json:
        resource = self.resource(kind)
        self._serial += 1
        new = admission.created(resource, patches.copied(item), namespace, self.clock.now(), self._serial)
        if key_of(new) in self._shelves[kind].items:
            raise already_exists(resource, new["metadata"]["name"])
        added = self._record("ADDED", kind, new, None)
        garbage.made(self, added)
        return added

    def replace(self, kind: str, item: Json, *, subresource: str = "") -> Json:
        new, resource = patches.copied(item), self.resource(kind)
        return self.update(
            kind, *key_of(item), lambda old: admission.replaced(resource, old, new), subresource=subresource
        )

    def patch(
        self, kind: str, namespace: str, name: str, patch: object, *, content_type: str = MERGE, subresource: str = ""
    ) -> Json:
        """Fields that the Application's schema does not know are dropped, as the server does by default."""
        patches.refuse_type(self.resource(kind), content_type)
        change = patches.patcher(content_type, patches.copied(patch))
        return self.update(
            kind, namespace, name, lambda old: admission.pruned(kind, change(old)), subresource=subresource
        )

    def update(
        self, kind: str, namespace: str, name: str, change: Callable[[Json], Json], *, subresource: str = ""
    ) -> Json:
        """``change`` makes the new object of the old one and must not write to it. Without effect: no new version."""
        old = self.get(kind, namespace, name)
        new = admission.updated(self.resource(kind), old, change(old), subresource)
        if same(old, new):
            return old
        if admission.may_go(new) and not self._graceful(new):
            return self._remove(kind, new, old)
        return self._record("MODIFIED", kind, new, old)

    def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        propagation: str = "",
        grace: int | None = None,
    ) -> Json:
        """The object as it went, or marked while finalizers or a running container hold it."""
        old = self.get(kind, namespace, name)
        self._check_preconditions(kind, old, uid, version)
        policy = propagation or ("Orphan" if kind == "Job" else "Background")
        if policy not in {"Foreground", "Background", "Orphan"}:
            raise bad_request(f'invalid propagationPolicy: "{propagation}"')
        ours = {_JOB_TRACKING, *garbage.FINALIZERS.values()}
        finalizers = [one for one in old["metadata"].get("finalizers") or () if one not in ours]
        if policy == "Foreground" or (policy == "Orphan" and garbage.dependents(self, old)):
            finalizers.append(garbage.FINALIZERS[policy])
        marked = admission.marked(old, finalizers, self.clock.now(), grace if kind == "Pod" else 0)
        if not finalizers and (grace == 0 or not self._graceful(old)):
            return self._remove(kind, old, old)
        if not same(old, marked):
            marked = self._record("MODIFIED", kind, marked, old)
        garbage.marked_gone(self, marked)
        return self.find(kind, namespace, name) or marked

    def _check_preconditions(self, kind: str, old: Json, uid: str, version: str) -> None:
        meta, resource = old["metadata"], self.resource(kind)
        if uid and uid != meta["uid"]:
            why = f"the UID in the precondition ({uid}) does not match the UID in record ({meta['uid']}). "
            raise conflict(resource, meta["name"], why + "The object might have been deleted and then recreated")
        if version and version != meta["resourceVersion"]:
            why = f"the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record "
            raise conflict(
                resource, meta["name"], why + f"({meta['resourceVersion']}). The object might have been modified"
            )

    def _graceful(self, item: Json) -> bool:
        pod_phase = (item.get("status") or {}).get("phase")
        bound = bool((item.get("spec") or {}).get("nodeName"))
        return self._graceful_pods and item["kind"] == "Pod" and bound and pod_phase not in {"Succeeded", "Failed"}

    def _remove(self, kind: str, last: Json, old: Json) -> Json:
        gone = self._record("DELETED", kind, last, old)
        for other in self.resources if kind == "Namespace" else ():
            for item in self.list(other.kind, gone["metadata"]["name"]) if other.namespaced else ():
                if self.find(other.kind, *key_of(item)) is not None:
                    self._remove(other.kind, item, item)
        garbage.gone(self, gone)
        return gone

    # Writing what was seen elsewhere, or what no server would let us write

    def put_raw(self, kind: str, event_type: str, item: Json) -> Json:
        """As a recorded watch event says, but with our next resourceVersion. No rule applies, no owner is looked at."""
        namespace, name = key_of(item)
        old = self.find(kind, namespace, name)
        if event_type == "DELETED":
            return self.remove_raw(kind, item)
        if old is not None and old["metadata"]["uid"] != item["metadata"]["uid"]:
            self._record("DELETED", kind, old, old)
            old = None
        resource = self.resource(kind)
        new = {**patches.copied(item), "apiVersion": resource.api_version, "kind": kind}
        return self._record("ADDED" if old is None else "MODIFIED", kind, new, old)

    def remove_raw(self, kind: str, item: Json) -> Json:
        """With ``item`` as its last state. What is not there is not removed again."""
        old = self.find(kind, *key_of(item))
        if old is None:
            return item
        last = {**patches.copied(item), "apiVersion": old["apiVersion"], "kind": kind}
        return self._record("DELETED", kind, last, old)

    def _record(self, event_type: str, kind: str, item: Json, old: Json | None) -> Json:
        self._version += 1
        new = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._version)}}
        change = Change(self._version, event_type, kind, new, old)
        self._shelves[kind].record(change)
        if kind == "Pod":
            (self.logs.pod_gone if event_type == "DELETED" else self.logs.pod_changed)(new)
        for subscriber in tuple(self._subscribers):
            subscriber(change)
        return new

    # Logs

    def append_log(self, namespace: str, pod: str, container: str, restart: int, stamp: str, text: str | bytes) -> None:
        """Lines with their newlines, all of this stamp (RFC 3339, up to nanoseconds); the last may lack its own."""
        data = text.encode() if isinstance(text, str) else text
        run = self.logs.run((namespace, pod, container, restart))
        for line in _LINE.findall(data):
            run.append(stamp, line)

    def end_log(self, namespace: str, pod: str, container: str, restart: int) -> None:
        """The container ended: followers get the rest and then the end."""
        self.logs.run((namespace, pod, container, restart)).end()

    def log_lines(self, namespace: str, pod: str, container: str, restart: int) -> int:
        return self.logs.lines((namespace, pod, container, restart))
