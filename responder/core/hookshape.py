"""How a hook is written, whether read from a manifest or seen as a Job in the cluster: what lint looks at."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import msgspec

from responder.core.hooknaming import delete_policies, hook_types
from responder.core.hooks import HookRun

Path = tuple[str | int, ...]  # to a value of the manifest

WAVE = "argocd.argoproj.io/sync-wave"
HELM_WEIGHT = "helm.sh/hook-weight"
_WAVE = re.compile(r"[-+]?[0-9]{1,18}")  # what Go's Atoi reads
_POD_SPEC: Mapping[str, Path] = {
    "Job": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


class Container(msgspec.Struct, frozen=True):
    name: str
    image: str = ""
    command: tuple[str, ...] = ()  # with its arguments
    env: tuple[tuple[str, str], ...] = ()  # those with a plain value
    init: bool = False
    native_sidecar: bool = False
    path: Path = ()


class Reference(msgspec.Struct, frozen=True):
    """What a Pod needs before it can start."""

    kind: str  # Secret, ConfigMap
    name: str
    path: Path = ()


class Shape(msgspec.Struct, frozen=True):
    """One object. ``whole``: all of its manifest is known; of a Job seen in the cluster some fields were not kept."""

    kind: str
    name: str  # or the prefix, where it is generated
    namespace: str = ""
    generated: bool = False
    annotations: Mapping[str, str] = {}
    pod_marks: Mapping[str, str] = {}  # annotations and labels of the Pod template
    hook_types: tuple[str, ...] = ()
    delete_policies: tuple[str, ...] = ()
    restart_policy: str = ""
    backoff_limit: int | None = None  # None: not said, which is 6
    deadline_seconds: int | None = None
    ttl_seconds: int | None = None
    parallelism: int = 1
    completions: int = 1
    suspended: bool = False
    idempotent: bool = False  # says so itself
    containers: tuple[Container, ...] = ()
    references: tuple[Reference, ...] = ()
    pod_path: Path = ()
    whole: bool = True

    @property
    def hook(self) -> bool:
        return bool(self.hook_types)

    @property
    def wave(self) -> int:
        text = self.annotations.get(WAVE) or (self.annotations.get(HELM_WEIGHT) if self.hook else None) or ""
        return int(text) if _WAVE.fullmatch(text) else 0


def shape_of_manifest(manifest: Any) -> Shape | None:
    """Lenient: whatever is not as Kubernetes has it counts as absent. None: no object."""
    kind, meta = _text(manifest, "kind"), _map(manifest, "metadata")
    if not kind or not (_text(manifest, "apiVersion")):
        return None
    annotations, spec = _texts(meta, "annotations"), _map(manifest, "spec")
    pod_path = _POD_SPEC.get(kind, ())
    template = _at(manifest, pod_path) if pod_path else None
    pod = _map(template, "spec")
    pod_at: Path = (*pod_path, "spec")
    return Shape(
        kind=kind,
        name=_text(meta, "name") or _text(meta, "generateName"),
        namespace=_text(meta, "namespace"),
        generated=not _text(meta, "name") and bool(_text(meta, "generateName")),
        annotations=annotations,
        pod_marks={**_texts(_map(template, "metadata"), "labels"), **_texts(_map(template, "metadata"), "annotations")},
        hook_types=hook_types(annotations),
        delete_policies=delete_policies(annotations),
        restart_policy=_text(pod, "restartPolicy"),
        backoff_limit=_number(spec, "backoffLimit"),
        deadline_seconds=_number(spec, "activeDeadlineSeconds") or _number(pod, "activeDeadlineSeconds"),
        ttl_seconds=_number(spec, "ttlSecondsAfterFinished"),
        parallelism=_number(spec, "parallelism", 1),
        completions=_number(spec, "completions", 1),
        suspended=spec.get("suspend") is True,
        idempotent=annotations.get("hook-responder.io/idempotent") == "true",
        containers=tuple(_containers(pod, pod_at)),
        references=tuple(_references(pod, pod_at)),
        pod_path=pod_at if pod_path else (),
    )


def shape_of_run(run: HookRun) -> Shape:
    """Its Pods tell the commands; without one only what the Job itself says is known."""
    containers = run.pods[-1].containers if run.pods else ()
    seen = {c.name: Container(c.name, c.image, c.command, init=c.kind == "init") for c in containers}
    unseen = [Container(f"container {n}", image) for n, image in enumerate(run.images, start=1)]
    return Shape(
        kind=run.kind,
        name=run.generate_name or run.name,
        namespace=run.namespace,
        generated=bool(run.generate_name),
        hook_types=run.hook_types,
        delete_policies=run.delete_policies,
        restart_policy=run.restart_policy,
        backoff_limit=run.backoff_limit,
        deadline_seconds=run.deadline_seconds,
        ttl_seconds=run.ttl_seconds,
        suspended=run.suspended,
        idempotent=run.idempotent,
        containers=tuple(seen.values()) or tuple(unseen),
        references=tuple(Reference(kind, name) for kind, _, name in (text.partition("/") for text in run.secrets)),
        whole=False,
    )


def _containers(pod: Mapping[str, Any], at: Path) -> Iterator[Container]:
    for key in ("initContainers", "containers"):
        for index, item in enumerate(_list(pod, key)):
            env = [e for e in _list(item, "env") if isinstance(e, dict) and "value" in e]
            yield Container(
                name=_text(item, "name"),
                image=_text(item, "image"),
                command=(*_words(item, "command"), *_words(item, "args")),
                env=tuple((_text(e, "name"), str(e.get("value"))) for e in env),
                init=key == "initContainers",
                native_sidecar=key == "initContainers" and _text(item, "restartPolicy") == "Always",
                path=(*at, key, index),
            )


def _references(pod: Mapping[str, Any], at: Path) -> Iterator[Reference]:
    for key in ("initContainers", "containers"):
        for index, item in enumerate(_list(pod, key)):
            here: Path = (*at, key, index)
            for n, env in enumerate(_list(item, "env")):
                source = _map(env, "valueFrom")
                yield from _named(source, {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}, (*here, "env", n))
            for n, source in enumerate(_list(item, "envFrom")):
                yield from _named(source, {"secretRef": "Secret", "configMapRef": "ConfigMap"}, (*here, "envFrom", n))
    for n, volume in enumerate(_list(pod, "volumes")):
        here = (*at, "volumes", n)
        for part in (volume, *_list(_map(volume, "projected"), "sources")):
            yield from _named(part, {"secret": "Secret", "configMap": "ConfigMap"}, here)


def _named(holder: Any, keys: Mapping[str, str], at: Path) -> Iterator[Reference]:
    for key, kind in keys.items():
        reference = _map(holder, key)
        name = _text(reference, "secretName") or _text(reference, "name")
        if name and reference.get("optional") is not True:
            yield Reference(kind, name, at)


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        value = _map(value, str(step))
    return value


def _map(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _text(value: Any, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _words(value: Any, key: str) -> tuple[str, ...]:
    return tuple(str(word) for word in _list(value, key))


def _texts(value: Any, key: str) -> dict[str, str]:
    return {str(k): v for k, v in _map(value, key).items() if isinstance(v, str)}


@overload
def _number(value: Any, key: str) -> int | None: ...
@overload
def _number(value: Any, key: str, default: int) -> int: ...
def _number(value: Any, key: str, default: int | None = None) -> int | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else default
