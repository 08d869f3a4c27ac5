"""What Argo CD's notification says, decoded without I/O: bytes in, a hint of where to look out. Never raises.

Only the fields that name an Application are read. Nothing of a notification opens an incident or reaches a decision.
"""

import hashlib
import re

import msgspec

from responder.core.argocd import AppKey

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")  # of a Kubernetes object


_FAILED = re.compile(rb"[Ss]ync operation of application (\S{1,253}) has failed ")  # the catalog's app-sync-failed


class Notification(msgspec.Struct, frozen=True):
    """Look at this Application. ``app`` None: the text named no namespace, look at all."""

    app: AppKey | None
    trigger: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """A body that is not ours: its length, its hash and why; never the body."""

    length: int
    sha256: str
    reason: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.length} bytes, sha256 {self.sha256[:16]})"


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class _App(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Body(msgspec.Struct):
    """A whole Application as ``{{toJson .app}}`` gives it, or our template, which wraps it in ``app``."""

    kind: str = ""
    metadata: _Metadata | None = None
    app: _App | None = None
    trigger: str = ""


_decoder = msgspec.json.Decoder(_Body)


def parse_notification(body: bytes) -> Notification | Refusal:
    """A JSON body of ``POST /v1/argocd/webhook``."""
    try:
        wire = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _refusal(body, f"not our JSON: {error}")
    meta = wire.app.metadata if wire.app is not None else wire.metadata
    if meta is None or not meta.name or not meta.namespace:
        return _refusal(body, "it names no Application: metadata.name and metadata.namespace are needed")
    if wire.kind not in ("", "Application"):
        return _refusal(body, "it is not an Application")
    if not (_is_name(meta.name) and _is_name(meta.namespace)):
        return _refusal(body, "its metadata names no Kubernetes object")
    return Notification(AppKey(meta.namespace, meta.name), wire.trigger[:64] if wire.trigger.isprintable() else "")


def failed_by_text(text: bytes) -> str:
    """Name of the Application whose failure the catalog's template tells; empty where it tells another thing.

    It does not say in which namespace: enough to know that Argo CD reaches us, too little to look at one alone.
    """
    found = _FAILED.search(text)
    name = found[1].decode("utf-8", "replace") if found is not None else ""
    return name if _is_name(name) else ""


def _is_name(text: str) -> bool:
    """RFC 1123: what the API server lets an object be called."""
    return _NAME.fullmatch(text) is not None


def _refusal(body: bytes, reason: str) -> Refusal:
    return Refusal(len(body), hashlib.sha256(body).hexdigest(), reason)
