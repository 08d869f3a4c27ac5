"""The files of deploy/ as plain data, and the Pod security standard they must meet."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
KUSTOMIZE = DEPLOY / "kustomize"

Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def one(path: Path, kind: str, name: str = "") -> Manifest:
    found = [d for d in documents(path) if d["kind"] == kind and name in ("", d["metadata"]["name"])]
    assert len(found) == 1, f"{path} has {len(found)} {kind} {name}"
    return found[0]


def restricted_faults(pod: Manifest) -> list[str]:
    """What the Pod Security Standard `restricted` (v1.36) would refuse, and a writable root on top."""
    faults = [f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    allowed = {
        "configMap",
        "secret",
        "emptyDir",
        "persistentVolumeClaim",
        "projected",
        "downwardAPI",
        "csi",
        "ephemeral",
    }
    faults += [f"volume {v['name']}" for v in pod.get("volumes", ()) if not v.keys() - {"name"} <= allowed]
    for container in [*pod.get("initContainers", ()), *pod["containers"]]:
        own = container.get("securityContext", {})
        both = {**pod.get("securityContext", {}), **own}
        faults += [
            f"{container['name']}: {fault}"
            for fault, wrong in {
                "privileged": own.get("privileged", False),
                "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
                "capabilities": own.get("capabilities") != {"drop": ["ALL"]},
                "runAsNonRoot": both.get("runAsNonRoot") is not True,
                "runAsUser": both.get("runAsUser", 0) == 0,
                "seccompProfile": both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
                "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is not True,
                "hostPort": any("hostPort" in port for port in container.get("ports", ())),
            }.items()
            if wrong
        ]
    return faults
