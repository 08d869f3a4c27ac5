"""Many incidents, one cause: forty Applications that lose one database are one page, not forty."""

import re2

from responder.core.failure import Category, Diagnosis
from responder.core.hooks import HookRun

_BY_DATABASE = frozenset(
    {
        Category.CONNECTION_REFUSED,
        Category.DNS_FAILURE,
        Category.CONNECTION_TIMEOUT,
        Category.SERVER_SHUTDOWN,
        Category.TOO_MANY_CONNECTIONS,
        Category.READ_ONLY,
        Category.DISK_FULL,
    }
)
_BY_NODE = frozenset({Category.NODE_LOST, Category.EVICTED})
_HOST = re2.compile(
    r"(?i)(?:"
    r"dial tcp (?:lookup )?(?P<a>[\w.\-]+|\[[0-9a-f:]+\])"
    r"|(?:server on|server at|to host|host(?: name)?|connect to|connection to(?: server at)?|address of|lookup|resolve)"
    r"[ =:]*['\"`(]?(?P<b>[a-z0-9][\w.\-]*|\[[0-9a-f:]+\])"
    r"|(?:ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EAI_AGAIN)[ :]+(?P<c>[\w.\-]+)"
    r"|(?P<d>[a-z0-9][\w\-]*(?:\.[\w\-]+)+|\d+\.\d+\.\d+\.\d+):\d{2,5}"
    r")"
)
_NO_HOST = frozenset(
    {"server", "host", "the", "name", "database", "on", "to", "at", "address", "failed", "refused", "port"}
)
_IMAGE = re2.compile(r"image \"(?P<image>[^\"]+)\"")


def correlation_key(diagnosis: Diagnosis, cluster: str, namespace: str, runs: tuple[HookRun, ...] = ()) -> str:
    """Equal for failures with one cause; empty when there is nothing to share.

    A bare host name counts only within its cluster and namespace: two databases called ``db`` never merge.
    """
    if diagnosis.category in _BY_DATABASE:
        host = _database_host(diagnosis)
        return f"database/{_scoped(host, cluster, namespace)}/{diagnosis.category.value}" if host else ""
    if diagnosis.category in _BY_NODE:
        node = next((p.node for r in runs for p in r.pods if p.node), "")
        return f"node/{cluster}/{node}" if node else ""
    if diagnosis.category is Category.IMAGE_PULL:
        registry = _registry(diagnosis)
        return f"registry/{registry}" if registry else ""
    return ""


def _database_host(diagnosis: Diagnosis) -> str:
    for text in filter(None, (diagnosis.key_line, *(b.text for b in diagnosis.because))):
        for match in _HOST.finditer(text):
            host = next(filter(None, match.groups()), "").strip("[]").lower().rstrip(".")
            if host and host not in _NO_HOST and not _loopback(host):
                return host
    return ""


def _loopback(host: str) -> bool:
    return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")  # noqa: S104 - compared, not bound


def _scoped(host: str, cluster: str, namespace: str) -> str:
    if "." not in host and ":" not in host:
        return f"{cluster}/{namespace}/{host}"
    # An address, and a Service's name, mean something within one cluster only.
    inside = host[-1].isdigit() or ":" in host or host.endswith((".svc", ".svc.cluster.local")) or host.count(".") == 1
    return f"{cluster}/{host}" if inside else host


def _registry(diagnosis: Diagnosis) -> str:
    for because in diagnosis.because:
        if match := _IMAGE.search(because.text):
            first = match["image"].split("/")[0]
            return first if "." in first or ":" in first else "docker.io"
    return ""
