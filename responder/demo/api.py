"""The Kubernetes API as a function from request to answer: no socket, no waiting.

It emulates what Argo CD's hooks and we ourselves use. It knows no schema but a part of the Application's, no admission,
and does not ask whether a namespace exists.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from responder.demo import admission, patches, schema, status
from responder.demo.logs import LogOptions, LogReader, chosen_run, truth
from responder.demo.objects import Objects
from responder.demo.resources import REVIEWS, Json, Resource, discovery
from responder.demo.selectors import Selector, by_fields, by_labels
from responder.demo.shelf import Key, key_of
from responder.demo.status import ApiFault, bad_request
from responder.demo.watching import Shape, Watch, WatchOptions

Query = Mapping[str, str]


class Reply(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes


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


class Target(msgspec.Struct, frozen=True):
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


class Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    query: Query
    headers: Mapping[str, str]  # names in lower case
    body: bytes


_OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
_ITEM_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_LIST_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}


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
        self._resources = {(one.group, one.version, one.plural): one for one in objects.resources}

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
        target = self._target(request.path)
        if target is None:
            return Reply(404, {"Content-Type": "text/plain; charset=utf-8"}, b"404 page not found\n")
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

    def _target(self, path: str) -> Target | None:
        match path.split("/")[1:]:
            case ["api", "v1" as version, *rest]:
                group = ""
            case ["apis", group, version, *rest]:
                pass
            case _:
                return None
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and (group, version, rest[2]) in self._resources:
            namespace, rest = rest[1], rest[2:]
        resource = self._resources.get((group, version, rest[0])) if rest else None
        if resource is None or len(rest) > 3:
            return None
        if namespace and not resource.namespaced:
            return None
        _, name, subresource = (*rest, "", "")[:3]
        target = Target(resource, namespace, name, subresource)
        return None if name and resource.namespaced and not namespace else target

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
            return Reply(404, {"Content-Type": "text/plain; charset=utf-8"}, b"404 page not found\n")
        if request.method != "POST":
            raise status.method_not_allowed()
        review = _decoded(request.body)
        spec = review.get("spec") or {}
        wanted = spec.get("resourceAttributes") or spec.get("nonResourceAttributes") or {}
        about = {key: str(wanted.get(key, "")) for key in ("verb", "group", "resource", "subresource")}
        place = {key: str(wanted.get(key, "")) for key in ("namespace", "name")}
        asked = user if plural.startswith("self") else str(spec.get("user", ""))
        allowed = self.allow(Ask(asked, **about, **place))
        return _json(201, {**review, "status": {"allowed": allowed}})

    # One object

    def _item(self, request: Request, target: Target) -> Reply | LogReader:
        if target.subresource == "log" and target.resource.kind == "Pod" and request.method == "GET":
            return self._log(request, target)
        if target.subresource not in ("", "status" if target.resource.status else ""):
            raise status.not_found(target.resource, target.name)
        match request.method:
            case "GET":
                found = self.objects.get(target.resource.kind, target.namespace, target.name)
                return _json(200, _shape(request)(found))
            case "PUT":
                return self._put(request, target)
            case "PATCH":
                return self._patch(request, target)
            case _:
                return self._delete(request, target)

    def _put(self, request: Request, target: Target) -> Reply:
        kind = target.resource.kind
        item, warnings = self._known_fields(request, kind, _decoded(request.body), patch=False)
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
        apply = patches.patcher(target.resource, content_type, _parsed(request.body, content_type))

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
        options = _decoded(request.body) if request.body.strip() else {}
        conditions = options.get("preconditions") or {}
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        return self.objects.delete(
            kind,
            *key,
            uid=conditions.get("uid") or "",
            version=conditions.get("resourceVersion") or "",
            propagation=options.get("propagationPolicy") or request.query.get("propagationPolicy", ""),
            grace=None if grace is None else _whole(grace, "gracePeriodSeconds"),
        )

    # Many objects

    def _collection(self, request: Request, target: Target) -> Reply:
        kind = target.resource.kind
        if request.method == "GET":
            return _json(200, self._list(request, target))
        if request.method == "DELETE":
            chosen = _selection(request, target)
            for item in self.objects.list(kind, target.namespace):
                if chosen(item) and self.objects.find(kind, *key_of(item)) is not None:
                    self._deleted(request, kind, key_of(item))
            return _json(200, self._list(request, target))
        if target.resource.namespaced and not target.namespace:
            raise status.method_not_allowed()
        item, warnings = self._known_fields(request, kind, _decoded(request.body), patch=False)
        return _json(201, self.objects.create(kind, item, target.namespace), warnings)

    def _list(self, request: Request, target: Target) -> Json:
        """One page: ``limit`` objects, and a token for the next one of the same snapshot."""
        token = request.query.get("continue", "")
        version, after = _read_token(token) if token else (self.objects.resource_version, None)
        chosen, shape = _selection(request, target), _shape(request)
        found = self.objects.list(target.resource.kind, target.namespace, version=version)
        left = [item for item in found if (after is None or key_of(item) > after) and chosen(item)]
        limit = _whole(request.query.get("limit", "0"), "limit") or len(left)
        meta: Json = {"resourceVersion": str(version)}
        if len(left) > limit:
            meta |= {"continue": _token(version, key_of(left[limit - 1])), "remainingItemCount": len(left) - limit}
        if shape is _metadata_only:
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
            return {**head, "metadata": meta, "items": [shape(item) for item in left[:limit]]}
        head = {"kind": f"{target.resource.kind}List", "apiVersion": target.resource.api_version}
        items = left[:limit] if target.resource.custom else [_untyped(item) for item in left[:limit]]
        return {**head, "metadata": meta, "items": items}

    # Streams

    def _watch(self, request: Request, target: Target) -> Watch:
        since = request.query.get("resourceVersion", "")
        seconds = _whole(request.query.get("timeoutSeconds", "0"), "timeoutSeconds")
        return Watch(
            self.objects,
            WatchOptions(
                kind=target.resource.kind,
                chosen=_selection(request, target),
                shape=_shape(request),
                since=_whole(since, "resourceVersion") if since not in ("", "0") else None,
                bookmarks=truth(request.query.get("allowWatchBookmarks")),
                eager_bookmarks=self.eager_bookmarks,
                timeout=float(seconds) or None,
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


def _decoded(body: bytes) -> Json:
    value = _parsed(body, "")
    if not isinstance(value, dict):
        raise bad_request("the object provided is unrecognized: it is not an object")
    return value


def _parsed(body: bytes, content_type: str) -> Any:
    """The JSON in it. What is no patch at all is left to those who refuse its type."""
    if content_type and content_type not in (patches.MERGE, patches.JSON, patches.STRATEGIC):
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_request(f"the object provided is unrecognized: json parse error: {error}") from error


def _whole(text: object, name: str) -> int:
    try:
        number = int(str(text))
    except ValueError as error:
        raise bad_request(f"unable to parse {name}: {text!r}") from error
    if number < 0:
        raise bad_request(f"{name} must not be negative")
    return number


def _selection(request: Request, target: Target) -> Selector:
    labels = by_labels(request.query.get("labelSelector", ""))
    fields = by_fields(target.resource, request.query.get("fieldSelector", ""))

    def chosen(item: Json) -> bool:
        namespace, name = key_of(item)
        here = target.namespace in ("", namespace) and target.name in ("", name)
        return here and labels(item) and fields(item)

    return chosen


def _shape(request: Request) -> Shape:
    """The first way in ``Accept`` that we can show an object."""
    for wanted in request.headers.get("accept", "").split(","):
        parameters = {part.strip() for part in wanted.split(";")[1:]}
        if parameters & {"as=PartialObjectMetadata", "as=PartialObjectMetadataList"}:
            return _metadata_only
        if not any(parameter.startswith("as=") for parameter in parameters):
            return _whole_object
    raise ApiFault(406, "NotAcceptable", "only the following media types are accepted: application/json")


def _whole_object(item: Json) -> Json:
    return item


def _metadata_only(item: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}


def _untyped(item: Json) -> Json:
    """Items of a list of built-in kinds do not say what they are."""
    return {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}


def _token(version: int, last: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode({"rv": version, "start": last})).decode()


class _Token(msgspec.Struct):
    rv: int
    start: Key


def _read_token(token: str) -> tuple[int, Key]:
    try:
        read = msgspec.json.decode(base64.urlsafe_b64decode(token), type=_Token)
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    return read.rv, read.start
