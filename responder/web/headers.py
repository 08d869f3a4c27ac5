"""Headers that every answer carries."""

from aiohttp import web

from responder.web.routes import HTML

SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
PAGE = {
    **SAFE,
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # not no-referrer: browsers would then send `Origin: null` with our own forms
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def secure(response: web.StreamResponse) -> None:
    """Pages get all of them; what is no page runs nothing and is only kept from being taken for one."""
    for name, value in (PAGE if response.content_type == HTML else SAFE).items():
        response.headers.setdefault(name, value)
