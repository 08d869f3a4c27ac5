"""Argo CD's refresh in small: sync status and health of an Application, and whether auto-sync begins an operation."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from responder.demo.admission import stamp
from responder.demo.objects import Objects
from responder.demo.repository import Repository, read_manifest
from responder.demo.resources import Json
from responder.demo.syncing import Live

_TERMINAL = ("Failed", "Error", "Succeeded")
_RETRIES = 5  # of an automated sync whose spec does not say


def in_progress(state: Json | None) -> bool:
    return state is not None and state["phase"] not in _TERMINAL


def compared(objects: Objects, repository: Repository, app: Json, live: Live) -> Json:
    """The Application with its status as a comparison would leave it."""
    source, status = app["spec"]["source"], app.get("status") or {}
    head = repository.resolve(source["repoURL"], source.get("targetRevision", ""))
    wanted = [read_manifest(body) for body in repository.manifests(source["repoURL"], head)]
    rows = []
    for manifest in wanted:
        row: Json = {"kind": manifest.kind, "name": manifest.name, "version": "v1"}
        row["namespace"] = app["spec"]["destination"]["namespace"]
        if manifest.hooks:
            row |= {"hook": True, "requiresPruning": True}
        else:
            same = live.get((manifest.kind, manifest.name)) == manifest.body
            row["status"] = "Synced" if same else "OutOfSync"
        rows.append({**row, **({"group": manifest.group} if manifest.group else {})})
    synced = all(row.get("status", "Synced") == "Synced" for row in rows)
    missing = any(not m.hooks and (m.kind, m.name) not in live for m in wanted)
    now = stamp(objects.clock.now())
    health = "Missing" if missing else "Healthy"
    before = status.get("health") or {}
    since = before["lastTransitionTime"] if before.get("status") == health else now
    after = {
        **status,
        "sync": {
            "status": "Synced" if synced else "OutOfSync",
            "revision": head,
            "comparedTo": {"source": source, "destination": app["spec"]["destination"]},
        },
        "health": {"status": health, "lastTransitionTime": since},
        "resources": rows,
        "sourceType": "Directory",
        "controllerNamespace": app["metadata"]["namespace"],
    }
    if error := _sync_error(after, now):
        after["conditions"] = [error]
    elif (status.get("operationState") or {}).get("phase") == "Succeeded":
        after.pop("conditions", None)
    return {**app, "status": after}


def _sync_error(status: Json, now: str) -> Json | None:
    """Of automated syncs only; it stays until the next success."""
    state = status.get("operationState") or {}
    automated = (state.get("operation") or {}).get("initiatedBy", {}).get("automated")
    if not automated or state.get("phase") not in ("Failed", "Error"):
        return None
    revision = (state.get("syncResult") or {}).get("revision", "")
    message = f"Failed last sync attempt to [{revision}]: {state.get('message', '')}"
    held = next((c for c in status.get("conditions") or () if c["message"] == message), None)
    return held or {"type": "SyncError", "message": message, "lastTransitionTime": now}


def automatic(app: Json) -> Json | None:
    """The operation that auto-sync asks for now, if it does. ``app`` as ``compared`` made it."""
    policy = app["spec"].get("syncPolicy") or {}
    rule: dict[str, Any] | None = policy.get("automated")
    status = app["status"]
    if rule is None or rule.get("enabled") is False or app.get("operation") or status["sync"]["status"] == "Synced":
        return None
    state = status.get("operationState")
    if in_progress(state) or "deletionTimestamp" in app["metadata"]:
        return None
    head = status["sync"]["revision"]
    sync: Json = {"revision": head, "source": app["spec"]["source"]}
    if rule.get("prune"):
        sync["prune"] = True
    if policy.get("syncOptions"):
        sync["syncOptions"] = policy["syncOptions"]
    if state is not None and (state.get("syncResult") or {}).get("revision") == head:
        if state["phase"] != "Succeeded" or not rule.get("selfHeal"):
            return None  # that revision was tried
        sync |= {"resources": _drifted(status["resources"]), "autoHealAttemptsCount": 1}
    return {"initiatedBy": {"automated": True}, "retry": policy.get("retry") or {"limit": _RETRIES}, "sync": sync}


def _drifted(rows: Sequence[Json]) -> list[Json]:
    wrong = [row for row in rows if row.get("status") == "OutOfSync"]
    return [{k: row[k] for k in ("group", "kind", "name", "namespace") if k in row} for row in wrong]


def window_closed(objects: Objects, app: Json) -> bool:
    """Only what the demo needs of sync windows: a deny window is always active."""
    project = objects.find("AppProject", app["metadata"]["namespace"], app["spec"]["project"])
    automated = bool(((app.get("operation") or {}).get("initiatedBy") or {}).get("automated"))
    for window in (project or {}).get("spec", {}).get("syncWindows") or ():
        concerned = any(fnmatchcase(app["metadata"]["name"], glob) for glob in window.get("applications") or ())
        if window["kind"] == "deny" and concerned and (automated or not window.get("manualSync")):
            return True
    return False
