"""Many incidents, one cause: forty Applications that lose one database are one page, not forty."""

from ipaddress import IPv4Address, IPv6Address, ip_address

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
_BY_CREDENTIAL = frozenset({Category.AUTH_FAILED, Category.TLS_ERROR})
_WORD = r"""['"`(]?(?P<{name}>[^\s'"`(),;=]+)"""
_BEFORE_A_HOST = (
    r"server on|server at|to host|host(?: name)?|connect to|connection to(?: server at)?|address of|lookup|resolve"
)
_HOST = re2.compile(
    "(?i)(?:"
    + (r"dial tcp (?:lookup )?" + _WORD.format(name="dialled") + "|")
    + (rf"(?:{_BEFORE_A_HOST})[ =:]*" + _WORD.format(name="named") + "|")
    + (r"(?:ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EAI_AGAIN) " + _WORD.format(name="node") + "|")
    + r"(?:^|[\s'\"`(@/])(?P<pair>[a-z0-9][\w.\-]*\.[\w.\-]+:\d{2,5})\b)"
)
_NAME = re2.compile(r"[a-z0-9_](?:[a-z0-9_.\-]*[a-z0-9_])?")
_NO_HOST = frozenset(
    {"server", "host", "the", "name", "database", "on", "to", "at", "address", "failed", "refused", "port", "socket"}
    | {"is", "was", "could", "not", "found", "of", "a", "an", "via", "from", "by", "timed", "error", "connection"}
    | {"mysql", "mariadb", "postgres", "postgresql", "oracle", "sqlserver", "redis", "mongodb", "local", "remote"}
)
_LOCAL_NAMES = frozenset(
    {"localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}
)
_IMAGE = re2.compile(r"image \"(?P<image>[^\"]+)\"")
# Of this image, not of its registry.
_OWN_FAULT = re2.compile(r"(?i)not found|manifest unknown|does not exist|invalid")
_EXPIRED = re2.compile(r"(?i)\bexpired?\b|\bexpiration\b")


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
    if diagnosis.category in _BY_CREDENTIAL and any(_EXPIRED.search(text) for text in _texts(diagnosis)):
        host = _database_host(diagnosis)
        return f"credential/{_scoped(host, cluster, namespace) if host else f'{cluster}/{namespace}'}"
    return ""


def _texts(diagnosis: Diagnosis) -> list[str]:
    return [text for text in (diagnosis.key_line, *(b.text for b in diagnosis.because)) if text]


def _database_host(diagnosis: Diagnosis) -> str:
    for text in _texts(diagnosis):
        for match in _HOST.finditer(text):
            token = next(filter(None, match.groups()), "")
            host = _host(token, port=match["node"] is not None or match["dialled"] is not None)
            if host and host not in _NO_HOST and not _loopback(host):
                return host
    return ""


def _host(token: str, *, port: bool) -> str:
    """Without brackets and port. ``port``: one follows surely, as in Node's ``::1:5432``."""
    token = token.lower().rstrip(".:")
    if token.startswith("["):
        return token[1:].partition("]")[0]
    head, colon, tail = token.rpartition(":")
    if colon and tail.isdigit() and (port or ":" not in head):
        token = head
    if _address(token) is not None:
        return token
    return token.rstrip(".") if _NAME.fullmatch(token) else ""


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    address = _address(host)
    if address is None:
        return host in _LOCAL_NAMES or host.endswith(".localhost")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified


def _scoped(host: str, cluster: str, namespace: str) -> str:
    if _address(host) is not None:
        return f"{cluster}/{host}"
    if "." not in host:
        return f"{cluster}/{namespace}/{host}"
    # A Service's name means something within one cluster only.
    inside = host.endswith(".svc") or ".svc." in host or host.count(".") == 1
    return f"{cluster}/{host}" if inside else host


def _registry(diagnosis: Diagnosis) -> str:
    for because in diagnosis.because:
        match = _IMAGE.search(because.text)
        if match is None or _OWN_FAULT.search(because.text):
            continue
        first, slash, _ = match["image"].partition("/")
        named = slash and ("." in first or ":" in first or first == "localhost")
        return first.lower() if named else "docker.io"
    return ""
