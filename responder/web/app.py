"""The faces over HTTP, put together: one table of routes, one middleware."""

from collections.abc import Callable, Sequence
from functools import cache, partial

from aiohttp import web

from responder.web import events, gate, incidents, logs, openapi, pages, probes, rules
from responder.web.faces import FACES, Faces
from responder.web.parameters import BODY_LIMIT
from responder.web.problems import shaped
from responder.web.routes import HTML, TEXT, Route, answer

DOCUMENT: web.AppKey[Callable[[], openapi.Document]] = web.AppKey("document")


def build(faces: Faces) -> web.Application:
    routes = _table(faces)
    open_handlers = frozenset(route.handler for route in routes if not route.identity)

    def admit(request: web.Request) -> None:
        if request.match_info.handler not in open_handlers:
            faces.access.admit(request)

    app = web.Application(client_max_size=BODY_LIMIT, middlewares=[shaped(admit, pages.problem_page)])
    app[FACES] = faces
    document: Callable[[], openapi.Document] = cache(partial(openapi.document, routes, faces.version))
    app[DOCUMENT] = document  # made when it is first asked for
    app[probes.STORE_CHECK] = probes.StoreCheck()
    _add(app, routes)
    app.on_shutdown.append(_end_streams)
    return app


def _table(faces: Faces) -> tuple[Route, ...]:
    return (
        *_webhook(faces),
        *incidents.ROUTES,
        *logs.ROUTES,
        *rules.ROUTES,
        *gate.ROUTES,
        *events.ROUTES,
        *probes.routes(metrics_open=faces.metrics_open),
        *pages.ROUTES,
        Route(method="GET", path="/openapi.json", handler=_openapi, summary="This document", answer=dict),
    )


def _webhook(faces: Faces) -> tuple[Route, ...]:
    path, handler = "/v1/argocd/webhook", faces.intake.handle
    return (
        Route(
            method="POST", path=path, handler=handler, status=202, identity=False, problems=(408, 413, 422),
            summary="What Argo CD's notifications send: a wake-up, durable before it is answered; own tokens",
        ),
        Route(
            method="GET", path=path, handler=handler, status=202, identity=False, problems=(408, 413),
            summary="What the stock catalog's templates send: it names nobody, so every Application is looked at",
        ),
    )  # fmt: skip


def _add(app: web.Application, routes: Sequence[Route]) -> None:
    for route in routes:
        if route.method == "GET":
            app.router.add_get(route.pattern, route.handler, allow_head=_has_head(route))
        else:
            app.router.add_route(route.method, route.pattern, route.handler)


def _has_head(route: Route) -> bool:
    """HEAD of a stream would wait for its end, of the webhook it would wake everybody."""
    return route.answer is not None or route.media in (HTML, TEXT)


async def _openapi(request: web.Request) -> web.Response:
    return answer(request.app[DOCUMENT]())


async def _end_streams(app: web.Application) -> None:
    app[FACES].changes.close()
