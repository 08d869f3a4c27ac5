"""What a Kubernetes API server answers when it does not do what was asked, in its own words."""

from collections.abc import Sequence

from responder.demo.resources import Json, Resource


class ApiFault(Exception):  # noqa: N818 - an answer of the server, not a bug of ours
    """One ``Status`` answer."""

    def __init__(self, status: int, reason: str, message: str, *, details: Json | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}

    def body(self) -> Json:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.status,
        }


def _details(resource: Resource, name: str) -> Json:
    named = {"name": name} if name else {}
    return {**named, **({"group": resource.group} if resource.group else {}), "kind": resource.plural}


def not_found(resource: Resource, name: str) -> ApiFault:
    return ApiFault(404, "NotFound", f'{resource.qualified} "{name}" not found', details=_details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiFault:
    message = f'{resource.qualified} "{name}" already exists'
    return ApiFault(409, "AlreadyExists", message, details=_details(resource, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: Resource, name: str, why: str = MODIFIED) -> ApiFault:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiFault(409, "Conflict", message, details=_details(resource, name))


def invalid(kind: str, name: str, causes: Sequence[str]) -> ApiFault:
    why = causes[0] if len(causes) == 1 else f"[{', '.join(causes)}]"
    return ApiFault(422, "Invalid", f'{kind} "{name}" is invalid: {why}', details={"name": name, "kind": kind})


def bad_request(message: str) -> ApiFault:
    return ApiFault(400, "BadRequest", message)


def unprocessable() -> ApiFault:
    return ApiFault(422, "Invalid", "the server rejected our request due to an error in our request")


def unsupported_media_type(message: str) -> ApiFault:
    return ApiFault(415, "UnsupportedMediaType", message)


def method_not_allowed() -> ApiFault:
    message = "the server does not allow this method on the requested resource"
    return ApiFault(405, "MethodNotAllowed", message)


def unauthorized() -> ApiFault:
    return ApiFault(401, "Unauthorized", "Unauthorized")


def expired(asked: int, oldest: int) -> ApiFault:
    return ApiFault(410, "Expired", f"too old resource version: {asked} ({oldest})")


def expired_continue() -> ApiFault:
    message = (
        "The provided continue parameter is too old to display a consistent list result. "
        "You can start a new list without the continue parameter."
    )
    return ApiFault(410, "Expired", message)
