"""Small objects for the cases of the demo's cluster."""

from typing import Any

Json = dict[str, Any]


def config(name: str, namespace: str = "shop", **meta: Any) -> Json:
    return {"metadata": {"name": name, "namespace": namespace, **meta}}


def pod(name: str, *, owner: Json | None = None, pod_phase: str = "Running", uid: str = "", restart: int = 0) -> Json:
    """Bound, with one container ``main`` that runs, or ran."""
    state: Json = {"running": {}} if pod_phase == "Running" else {"terminated": {"exitCode": 1}}
    meta: Json = {"name": name, "namespace": "shop", "uid": uid or f"uid-{name}"}
    if owner is not None:
        meta["ownerReferences"] = [{"kind": "Job", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}]
    status = {"name": "main", "restartCount": restart, "state": state}
    return {
        "metadata": meta,
        "spec": {"nodeName": "node-1", "containers": [{"name": "main"}]},
        "status": {"phase": pod_phase, "containerStatuses": [status]},
    }


def job(name: str, **meta: Any) -> Json:
    return {"metadata": {"name": name, "namespace": "shop", **meta}, "spec": {"template": {"spec": {}}}}
