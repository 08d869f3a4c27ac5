"""Who may do what: access reviews, which store nothing. Read-only is seen by asking, not by failing."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from responder.cluster.errors import UNREADABLE, ApiError
from responder.core.actions import ActionKind
from responder.core.clustersetup import Right
from responder.ports import Clock

_GROUP = "/apis/authorization.k8s.io/v1"
_KEEP_SECONDS = 60.0


class _Status(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


class Creates(Protocol):
    async def create(self, path: str, body: bytes) -> bytes: ...


_NEEDS = {
    Right("patch", "argoproj.io", "applications"): (
        ActionKind.RESYNC,
        ActionKind.STOP_RETRIES,
        ActionKind.TERMINATE,
        ActionKind.ANNOTATE,
    ),
    Right("delete", "batch", "jobs"): (ActionKind.DELETE_HOOK,),
}


class Permissions:
    """What our own ServiceAccount may do, asked anew every minute; not to be told is not to be allowed.

    ``namespaces`` of Applications, ``hooks`` of Jobs: those that we watch; ``""`` and ``*`` are all.
    """

    def __init__(self, kubernetes: Creates, clock: Clock, namespaces: Sequence[str], hooks: Sequence[str] = ()) -> None:
        self._kubernetes = kubernetes
        self._clock = clock
        self._places = {"applications": _places(namespaces), "jobs": _places(hooks)}
        self._asked_at: float | None = None
        self._allowed: frozenset[str] = frozenset()
        self._asking = asyncio.Lock()

    async def allowed(self) -> frozenset[str]:
        """Values of ``ActionKind`` that RBAC allows in every namespace of ours."""
        async with self._asking:
            now = self._clock.monotonic()
            if self._asked_at is None or now - self._asked_at > _KEEP_SECONDS:
                answers = {right: await self._has(right) for right in _NEEDS}
                self._allowed = frozenset(
                    kind.value for right, kinds in _NEEDS.items() if answers[right] for kind in kinds
                )
                self._asked_at = None if None in answers.values() else now
            return self._allowed

    async def _has(self, right: Right) -> bool | None:
        """None: we were not told, and ask again at the next step."""
        answers = [
            await may(self._kubernetes, msgspec.structs.replace(right, namespace=namespace))
            for namespace in self._places[right.resource]
        ]
        return None if None in answers else all(answers)


def _places(namespaces: Sequence[str]) -> tuple[str, ...]:
    """One question about all of them, where it is all."""
    return ("",) if not namespaces or {"", "*"} & set(namespaces) else tuple(dict.fromkeys(namespaces))


async def may(kubernetes: Creates, right: Right, account: str = "") -> bool | None:
    """``account``: a ServiceAccount, ``namespace:name``; empty: we ourselves. None: we were not told."""
    spec: dict[str, object] = {"resourceAttributes": {k: v for k, v in msgspec.structs.asdict(right).items() if v}}
    kind, path = "SelfSubjectAccessReview", "selfsubjectaccessreviews"
    if account:
        kind, path = "SubjectAccessReview", "subjectaccessreviews"
        namespace = account.partition(":")[0]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        spec |= {"user": f"system:serviceaccount:{account}", "groups": groups}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    try:
        answer = await kubernetes.create(f"{_GROUP}/{path}", msgspec.json.encode(body))
        return msgspec.json.decode(answer, type=_Review).status.allowed
    except (ApiError, *UNREADABLE):
        return None
