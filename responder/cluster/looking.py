"""What the doctor reads of a cluster: as little of each object as it looks at."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from responder.cluster.client import Kubernetes, Query
from responder.cluster.errors import UNREADABLE, ApiError, Forbidden, NotFound
from responder.cluster.wire import decoders
from responder.core.checkup import Document
from responder.core.wire import Wire

MOST: Final = 20_000  # objects of a kind that are looked at
PAGE: Final = 500
PAGE_SECONDS: Final = 60.0

T = TypeVar("T")


class MetaRead(Wire):
    name: str = ""
    namespace: str = ""
    annotations: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class NamedRead(Wire):
    metadata: MetaRead


class RetryRead(Wire):
    limit: int | None = None


class SyncPolicyRead(Wire):
    automated: dict[str, object] | None = None
    retry: RetryRead | None = None


class AppSpecRead(Wire):
    sync_policy: SyncPolicyRead | None = None


class AppStatusRead(Wire):
    reconciled_at: datetime | None = None


class AppRead(Wire):
    metadata: MetaRead
    spec: AppSpecRead | None = None
    status: AppStatusRead | None = None


class JobSpecRead(Wire):
    ttl_seconds_after_finished: int | None = None


class JobRead(Wire):
    metadata: MetaRead
    spec: JobSpecRead | None = None


class ContainerRead(Wire):
    image: str = ""


class PodSpecRead(Wire):
    containers: list[ContainerRead] | None = None


class PodRead(Wire):
    metadata: MetaRead
    spec: PodSpecRead | None = None


class HolderRead(Wire):
    data: dict[str, str] | None = None


class KindRead(Wire):
    name: str = ""


class KindsRead(Wire):
    resources: list[KindRead] | None = None


class Reading:
    """One cluster's answers; ``unread`` says what was refused."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self.unread: list[str] = []

    async def document(self, kind: str, namespace: str, name: str, *, silently: bool = False) -> Document:
        """``silently``: whoever asks tells of its trouble."""
        plural = f"{kind.lower()}s"
        try:
            body = await self._kubernetes.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
            return Document(msgspec.json.decode(body, type=HolderRead).data or {})
        except NotFound:
            return Document()
        except (ApiError, *UNREADABLE) as error:
            if not silently:
                self._refused(f"{kind} {namespace}/{name}", error)
            return Document(trouble=str(error))

    async def listed(
        self, what: str, path: str, kind: type[T], query: Sequence[tuple[str, str]] = ()
    ) -> list[T] | None:
        found: list[T] = []
        decode, _ = decoders(kind, _as_it_is)
        more: Sequence[tuple[str, str]] = ()
        try:
            while len(found) < MOST:
                asked: Query = [*query, ("limit", PAGE), *more]
                page = decode(await self._kubernetes.get(path, asked, deadline=PAGE_SECONDS, verb="list"))
                found += page.items
                if not page.continue_:
                    break
                more = [("continue", page.continue_)]
        except (ApiError, *UNREADABLE) as error:
            self._refused(what, error)
            return None
        return found

    async def there(self, what: str, path: str) -> bool | None:
        try:
            await self._kubernetes.get(path)
        except NotFound:
            return False
        except ApiError as error:
            self._refused(what, error)
            return None
        return True

    async def kinds(self, path: str) -> set[str]:
        try:
            body = await self._kubernetes.get(path)
            return {kind.name for kind in msgspec.json.decode(body, type=KindsRead).resources or []}
        except (ApiError, *UNREADABLE):
            return set()

    def _refused(self, what: str, error: Exception) -> None:
        why = "forbidden" if isinstance(error, Forbidden) else str(error)
        self.unread.append(f"{what}: {why}")


def _as_it_is(value: T) -> T:
    return value
