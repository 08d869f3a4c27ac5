"""Manifests as people write them into their repositories, for the stories to fail with."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

Json = dict[str, Any]
ANY_IMAGE = "registry.example.com/shop/migrations:1.4.2"  # the kubelet of these tests runs the host's programs


def hook(  # what a hook Job may differ in, all by name
    script: str,
    *,
    name: str = "db-migrate",
    generate_name: str = "",
    sync_phase: str = "PreSync",
    policy: str = "BeforeHookCreation",
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    env: Sequence[Json] = (),
    pod: Json | None = None,
    container: Json | None = None,
    **spec: object,
) -> Json:
    """A hook Job that runs ``sh -c script``; ``pod``, ``container`` and ``spec`` are laid over what it has."""
    named = {"generateName": generate_name} if generate_name else {"name": name}
    marks = {"argocd.argoproj.io/hook": sync_phase, **(annotations or {})}
    if policy:
        marks["argocd.argoproj.io/hook-delete-policy"] = policy
    main = {"name": "migrate", "image": ANY_IMAGE, "command": ["sh", "-c", script], "env": list(env)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**named, "annotations": marks, "labels": dict(labels or {})},
        "spec": {
            "backoffLimit": 0,
            **spec,
            "template": {
                "spec": {"restartPolicy": "Never", **(pod or {}), "containers": [{**main, **(container or {})}]},
            },
        },
    }


def config_map(name: str = "settings", **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, *, annotations: Mapping[str, str] | None = None, **values: str) -> Json:
    meta = {"name": name, "annotations": dict(annotations or {})}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": values}


def written(*items: Json) -> str:
    """As one file of several documents."""
    return yaml.safe_dump_all(items, sort_keys=False)
