"""The faces over HTTP, put together: one table of routes, one order of middlewares."""

from collections.abc import Sequence

from aiohttp import web

from responder.web import events, gate, incidents, logs, openapi, pages, probes, rules
from responder.web.faces import FACES, Faces
from responder.web.parameters import BODY_LIMIT
from responder.web.problems import problems
from responder.web.routes import HTML, TEXT, Route, answer

SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
HEADERS = {
    **SAFE,
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # not no-referrer: browsers would then send `Origin: null` with our own forms
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}

DOCUMENT = web.AppKey("document", dict)


def build(faces: Faces) -> web.Application:
    routes = _table(faces)
    open_handlers = frozenset(route.handler for route in routes if not route.identity)

    def is_open(request: web.Request) -> bool:
        return request.match_info.handler in open_handlers

    app = web.Application(
        client_max_size=BODY_LIMIT, middlewares=[problems(pages.problem_page), faces.access.middleware(is_open)]
    )
    app[FACES] = faces
    app[DOCUMENT] = openapi.document(routes, faces.version)
    app[probes.STORE_CHECK] = probes.StoreCheck()
    _add(app, routes)
    app.on_response_prepare.append(_secure)
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
    return answer(request.app[DOCUMENT])


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    """Pages get all of them; what is no page runs nothing and is only kept from being taken for one."""
    for name, value in (HEADERS if response.content_type == HTML else SAFE).items():
        response.headers.setdefault(name, value)


async def _end_streams(app: web.Application) -> None:
    app[FACES].changes.close()
