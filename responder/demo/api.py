"""The Kubernetes API as a function from request to answer: no socket, no waiting.

It emulates what Argo CD's hooks and we ourselves use. It knows no schema but a part of the Application's, no admission,
and does not ask whether a namespace exists.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from responder.demo import admission, patches, schema, status
from responder.demo.listing import metadata_of, page
from responder.demo.logs import LogOptions, LogReader, chosen_run
from responder.demo.objects import Objects
from responder.demo.request import Query, Request, Routes, Target, truth, whole
from responder.demo.resources import REVIEWS, Json, discovery
from responder.demo.shelf import Key, key_of
from responder.demo.status import ApiFault, bad_request
from responder.demo.watching import Watch, WatchOptions


class Reply(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes


_NO_SUCH_PATH = Reply(404, {"Content-Type": "text/plain; charset=utf-8"}, b"404 page not found\n")


class Ask(msgspec.Struct, frozen=True):
    """May this user do that? For requests and for access reviews alike."""

    user: str
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


Policy = Callable[[Ask], bool]
_T = TypeVar("_T")

_OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
_ITEM_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_LIST_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}


class _Preconditions(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""


class _DeleteOptions(msgspec.Struct, rename="camel"):
    preconditions: _Preconditions | None = None
    propagation_policy: str = ""
    grace_period_seconds: int | None = None


class _Attributes(msgspec.Struct):
    verb: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


class _ReviewSpec(msgspec.Struct, rename="camel"):
    user: str = ""
    resource_attributes: _Attributes | None = None


class Api:
    """``tokens``: user names by bearer token; without it everybody is ``system:admin``. ``allow`` may be replaced."""

    def __init__(
        self,
        objects: Objects,
        *,
        tokens: Mapping[str, str] | None = None,
        allow: Policy = lambda _: True,
        eager_bookmarks: bool = False,
    ) -> None:
        self.objects = objects
        self.tokens = tokens
        self.allow = allow
        self.eager_bookmarks = eager_bookmarks
        self._documents = discovery(objects.resources)
        self._routes = Routes(objects.resources)

    def handle(self, method: str, path: str, query: Query, headers: Mapping[str, str], body: bytes) -> Reply:
        """Of a watch or a followed log: what there is now."""
        answer = self.answer(method, path, query, headers, body)
        if isinstance(answer, Reply):
            return answer
        return Reply(200, {"Content-Type": stream_type(answer)}, answer.take())

    def answer(
        self, method: str, path: str, query: Query, headers: Mapping[str, str], body: bytes
    ) -> Reply | Watch | LogReader:
        lower = {name.lower(): value for name, value in headers.items()}
        request = Request(method, "/" + path.strip("/"), query, lower, body)
        try:
            return self._answer(request)
        except ApiFault as fault:
            return _json(fault.status, fault.body())

    def _answer(self, request: Request) -> Reply | Watch | LogReader:
        if request.path in _OPEN_PATHS - {"/version"}:
            return Reply(200, {"Content-Type": "text/plain"}, b"ok")
        user = self._user(request)
        if document := self._documents.get(request.path):
            return _json(200, document)
        if request.path.startswith("/apis/authorization.k8s.io/v1/"):
            return self._review(request, user)
        target = self._routes.target(request.path)
        if target is None:
            return _NO_SUCH_PATH
        verbs = _ITEM_VERBS if target.name else _LIST_VERBS
        if request.method not in verbs:
            raise status.method_not_allowed()
        watch = request.method == "GET" and truth(request.query.get("watch")) and not target.subresource
        self._authorize(user, "watch" if watch else verbs[request.method], target)
        if watch:
            return self._watch(request, target)
        return self._item(request, target) if target.name else self._collection(request, target)

    # Who, and what

    def _user(self, request: Request) -> str:
        if self.tokens is None or request.path in _OPEN_PATHS:
            return "system:admin"
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in self.tokens:
            raise status.unauthorized()
        return self.tokens[token]

    def _authorize(self, user: str, verb: str, target: Target) -> None:
        resource, namespace = target.resource, target.namespace
        if resource.kind == "Namespace":
            namespace = target.name
        if self.allow(Ask(user, verb, resource.group, resource.plural, target.subresource, namespace, target.name)):
            return
        what = f"{resource.plural}/{target.subresource}" if target.subresource else resource.plural
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        named = f'{resource.qualified} "{target.name}"' if target.name else resource.qualified
        raise ApiFault(
            403,
            "Forbidden",
            f'{named} is forbidden: User "{user}" cannot {verb} resource "{what}" '
            f'in API group "{resource.group}" {where}',
        )

    def _review(self, request: Request, user: str) -> Reply:
        plural = request.path.rpartition("/")[2]
        if plural not in REVIEWS:
            return _NO_SUCH_PATH
        if request.method != "POST":
            raise status.method_not_allowed()
        review = request.object()
        spec = _converted(review.get("spec") or {}, _ReviewSpec)
        wanted = spec.resource_attributes or _Attributes()
        asked = user if plural.startswith("self") else spec.user
        return _json(201, {**review, "status": {"allowed": self.allow(Ask(asked, **msgspec.structs.asdict(wanted)))}})

    # One object

    def _item(self, request: Request, target: Target) -> Reply | LogReader:
        if target.subresource == "log" and target.resource.kind == "Pod" and request.method == "GET":
            return self._log(request, target)
        if target.subresource not in ("", "status" if target.resource.status else ""):
            raise status.not_found(target.resource, target.name)
        match request.method:
            case "GET":
                found = self.objects.get(target.resource.kind, target.namespace, target.name)
                return _json(200, metadata_of(found) if request.metadata_only() else found)
            case "PUT":
                return self._put(request, target)
            case "PATCH":
                return self._patch(request, target)
            case _:
                return self._delete(request, target)

    def _put(self, request: Request, target: Target) -> Reply:
        kind = target.resource.kind
        item, warnings = self._known_fields(request, kind, request.object(), patch=False)
        new = self.objects.update(
            kind,
            target.namespace,
            target.name,
            lambda old: admission.replaced(target.resource, old, item),
            subresource=target.subresource,
        )
        return _json(200, new, warnings)

    def _patch(self, request: Request, target: Target) -> Reply:
        kind, warnings = target.resource.kind, dict[str, str]()
        content_type = request.headers.get("content-type", "").partition(";")[0].strip()
        patches.refuse_type(target.resource, content_type)
        apply = patches.patcher(content_type, request.json())

        def change(old: Json) -> Json:
            new, found = self._known_fields(request, kind, apply(old), patch=True)
            warnings.update(found)
            return new

        new = self.objects.update(kind, target.namespace, target.name, change, subresource=target.subresource)
        return _json(200, new, warnings)

    @staticmethod
    def _known_fields(request: Request, kind: str, item: object, *, patch: bool) -> tuple[Json, dict[str, str]]:
        """The object without unknown fields, and the headers that warn of them; an error when they are forbidden."""
        if not isinstance(item, dict):
            raise bad_request(f"json: cannot unmarshal into Go value of type {kind}")
        new, unknown = schema.pruned(kind, item)
        asked = request.query.get("fieldValidation", "Warn")
        if unknown and asked == "Strict":
            raise schema.refuse_unknown(kind, item, unknown, patch=patch)
        if not unknown or asked == "Ignore":
            return new, {}
        return new, {"Warning": ", ".join(f'299 - "unknown field \\"{path}\\""' for path in unknown)}

    def _delete(self, request: Request, target: Target) -> Reply:
        kind, key = target.resource.kind, (target.namespace, target.name)
        gone = self._deleted(request, kind, key)
        if self.objects.find(kind, *key) is not None or kind in {"Pod", "ServiceAccount"}:
            return _json(200, gone)
        details = {"name": target.name, "kind": target.resource.plural, "uid": gone["metadata"]["uid"]}
        if target.resource.group:
            details["group"] = target.resource.group
        success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return _json(200, success)

    def _deleted(self, request: Request, kind: str, key: Key) -> Json:
        options = _converted(request.object() if request.body.strip() else {}, _DeleteOptions)
        conditions, query = options.preconditions or _Preconditions(), request.query
        grace = options.grace_period_seconds
        if grace is None and "gracePeriodSeconds" in query:
            grace = whole(query["gracePeriodSeconds"], "gracePeriodSeconds")
        return self.objects.delete(
            kind,
            *key,
            uid=conditions.uid,
            version=conditions.resource_version,
            propagation=options.propagation_policy or query.get("propagationPolicy", ""),
            grace=grace,
        )

    # Many objects

    def _collection(self, request: Request, target: Target) -> Reply:
        kind = target.resource.kind
        if request.method == "GET":
            return _json(200, page(self.objects, request, target))
        if request.method == "DELETE":
            chosen = request.selection(target)
            for item in self.objects.list(kind, target.namespace):
                if chosen(item) and self.objects.find(kind, *key_of(item)) is not None:
                    self._deleted(request, kind, key_of(item))
            return _json(200, page(self.objects, request, target))
        if target.resource.namespaced and not target.namespace:
            raise status.method_not_allowed()
        item, warnings = self._known_fields(request, kind, request.object(), patch=False)
        return _json(201, self.objects.create(kind, item, target.namespace), warnings)

    # Streams

    def _watch(self, request: Request, target: Target) -> Watch:
        return Watch(
            self.objects,
            WatchOptions(
                kind=target.resource.kind,
                chosen=request.selection(target),
                metadata_only=request.metadata_only(),
                since=request.number("resourceVersion") or None,
                bookmarks=truth(request.query.get("allowWatchBookmarks")),
                eager_bookmarks=self.eager_bookmarks,
                timeout=float(request.number("timeoutSeconds")) or None,
            ),
        )

    def _log(self, request: Request, target: Target) -> Reply | LogReader:
        pod = self.objects.get("Pod", target.namespace, target.name)
        options = LogOptions.parse(target.name, request.query, self.objects.clock.now())
        run = chosen_run(pod, options)
        if run is None:
            return Reply(204, {}, b"")
        return LogReader(self.objects.logs.run((target.namespace, target.name, *run)), options)


def stream_type(stream: Watch | LogReader) -> str:
    return "application/json" if isinstance(stream, Watch) else "text/plain"


def _json(code: int, value: Json, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(code, {"Content-Type": "application/json", **(headers or {})}, msgspec.json.encode(value))


def _converted(value: Json, wanted: type[_T]) -> _T:
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error
