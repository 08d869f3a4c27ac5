"""The promotion gate, its blocks, and the kill switch's other half."""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from responder.core.argocd import AppKey
from responder.core.duration import parse_duration
from responder.core.promotion import Block, GateAnswer, GateResult
from responder.ports import StoreError
from responder.web.access import operator
from responder.web.faces import Faces, faces_of
from responder.web.parameters import body, query
from responder.web.routes import Route, answer

Name = Annotated[str, msgspec.Meta(max_length=512)]


class GateQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"purpose": "for"}):
    """Service and environment, or namespace and application. With ``for=sync`` the revision may be left out.

    ``image``: what is about to be deployed, several times: what left something half done elsewhere is held by it too.
    """

    service: Name = ""
    environment: Name = ""
    namespace: Name = ""
    application: Name = ""
    revision: Name = ""
    image: tuple[Name, ...] = ()
    purpose: Literal["", "sync"] = ""


class BlocksOut(msgspec.Struct):
    blocks: list[Block]


class BlockIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"lasts": "for"}):
    """``environments``: none is all; ``revisions``: none is all; ``for`` (``2h``): absent holds until it is lifted."""

    service: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    why: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    environments: Annotated[tuple[Name, ...], msgspec.Meta(max_length=100)] = ()
    revisions: Annotated[tuple[Name, ...], msgspec.Meta(max_length=100)] = ()
    lasts: str = ""


class UnblockQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    why: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class KillSwitchIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    engaged: bool


class KillSwitchOut(msgspec.Struct):
    restored_store_released: bool
    configmap: str  # namespace/name: read anew before every act, written by people only
    detail: str


async def ask(request: web.Request) -> web.Response:
    """Fails closed: whatever cannot be read is pending."""
    faces, asked = faces_of(request), query(request, GateQuery)
    _complete(asked)
    try:
        found = await _answered(faces, asked)
    except StoreError:
        found = GateAnswer(GateResult.PENDING, "the responder's store is not available")
    faces.metrics.gate_requests_total(found.result.value).inc()
    return answer(found)


def _complete(asked: GateQuery) -> None:
    by_subject = bool(asked.service and asked.environment)
    by_application = bool(asked.namespace and asked.application)
    if by_subject == by_application or any(
        (asked.namespace, asked.application) if by_subject else (asked.service, asked.environment)
    ):
        raise web.HTTPBadRequest(text="name either service and environment, or namespace and application")
    if not asked.revision and asked.purpose != "sync":
        raise web.HTTPBadRequest(
            text="revision is missing; only for=sync goes without: it takes that of the running sync"
        )


async def _answered(faces: Faces, asked: GateQuery) -> GateAnswer:
    for_sync = asked.purpose == "sync"
    if asked.service:
        return await faces.gatekeeper.subject(
            asked.service, asked.environment, asked.revision, images=asked.image, for_sync=for_sync
        )
    key = AppKey(asked.namespace, asked.application)
    return await faces.gatekeeper.application(key, asked.revision, images=asked.image, for_sync=for_sync)


async def list_blocks(request: web.Request) -> web.Response:
    return answer(BlocksOut(faces_of(request).desk.blocks()))


async def add_block(request: web.Request) -> web.Response:
    who, said = operator(request), await body(request, BlockIn)
    try:
        lasts = parse_duration(said.lasts) if said.lasts else None
    except ValueError as error:
        raise web.HTTPUnprocessableEntity(text=f"for: {error}") from error
    if lasts is not None and lasts <= timedelta(0):
        raise web.HTTPUnprocessableEntity(text="for: a block that lasts no time holds nothing")
    desk = faces_of(request).desk
    return answer(await desk.block(who, said.service, said.environments, said.revisions, said.why, lasts), 201)


async def end_block(request: web.Request) -> web.Response:
    who, said = operator(request), query(request, UnblockQuery)
    return answer(await faces_of(request).desk.unblock(request.match_info["id"], who, said.why))


async def release(request: web.Request) -> web.Response:
    """Only what a restored backup engaged is released here: the ConfigMap is the cluster's, and stays with people."""
    who, said = operator(request), await body(request, KillSwitchIn)
    faces = faces_of(request)
    if said.engaged:
        raise web.HTTPNotImplemented(text=f"engage it where it is read: {command(faces, engaged=True)}")
    held = faces.loader.restored
    if held:
        await faces.desk.release_restored(who)
    told = f"the ConfigMap still has its own word; to release that too: {command(faces, engaged=False)}"
    return answer(KillSwitchOut(held, faces.killswitch, told))


def command(faces: Faces, *, engaged: bool) -> str:
    namespace, _, name = faces.killswitch.partition("/")
    value = "true" if engaged else "false"
    return f"""kubectl -n {namespace} patch configmap {name} --type merge -p '{{"data":{{"engaged":"{value}"}}}}'"""


_CHANGE = (400, 404, 415, 422)
ROUTES = (
    Route(
        method="GET", path="/v1/gate", handler=ask, query=GateQuery, answer=GateAnswer, problems=(400,),
        summary="May this revision go on? success, failure, or pending (not known: fails closed)",
    ),
    Route(
        method="GET", path="/v1/blocks", handler=list_blocks, answer=BlocksOut,
        summary="Promotion blocks in force, newest first",
    ),
    Route(
        method="POST", path="/v1/blocks", handler=add_block, body=BlockIn, answer=Block, status=201, problems=_CHANGE,
        summary="Hold a service back",
    ),
    Route(
        method="DELETE", path="/v1/blocks/{id}", handler=end_block, query=UnblockQuery, answer=Block,
        problems=(400, 404), summary="Lift a block in your name",
    ),
    Route(
        method="PUT", path="/v1/killswitch", handler=release, body=KillSwitchIn, answer=KillSwitchOut,
        problems=(*_CHANGE, 501), summary="Release what a restored backup holds; the ConfigMap is changed with kubectl",
    ),
)  # fmt: skip
