"""One pass of a sync, as gitops-engine makes it: see how the hooks stand, delete, create, or be done."""

import itertools
from collections.abc import Sequence

import msgspec

from responder.core.hooknaming import TRACKING_ID
from responder.demo.objects import Objects
from responder.demo.repository import Manifest, read_manifest
from responder.demo.resources import Json

HOOK_FINALIZER = "argocd.argoproj.io/hook-finalizer"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_PHASES = ("PreSync", "Sync", "PostSync")
_WAVE_DELAY = 2.0  # after each wave but the last, before the status is written
_FAILED = "one or more synchronization tasks completed unsuccessfully"
_NOT_APPLIED = "one or more objects failed to apply"
_DONE = "successfully synced (all tasks run)"
_NOTHING_LEFT = "successfully synced (no more tasks)"

Live = dict[tuple[str, str], Json]  # (kind, name) -> manifest, of what is no hook


class Task(msgspec.Struct, frozen=True):
    manifest: Manifest
    sync_phase: str
    name: str  # a generated one is made

    @property
    def order(self) -> tuple[int, int, str, str]:
        return _PHASES.index(self.sync_phase), self.manifest.wave, self.manifest.kind, self.name

    @property
    def hook(self) -> bool:
        return bool(self.manifest.hooks)


class Passed(msgspec.Struct, frozen=True):
    """What one pass came to; it is written ``delay`` seconds later. ``ended``: Failed or Succeeded."""

    results: tuple[Json, ...]
    message: str
    ended: str = ""
    delay: float = 0.0


class Target(msgspec.Struct, frozen=True):
    """Where and what one operation syncs."""

    instance: str
    namespace: str
    revision: str
    started_at: int  # seconds since 1970
    manifests: tuple[Json, ...]
    selected: tuple[tuple[str, str], ...] = ()  # (kind, name); not empty, or ``hookless``: no hooks
    hookless: bool = False

    def tasks(self) -> list[Task]:
        found = []
        for manifest in map(read_manifest, self.manifests):
            if not manifest.hooks:
                if not self.selected or (manifest.kind, manifest.name) in self.selected:
                    found.append(Task(manifest, "Sync", manifest.name))
            elif not self.selected and not self.hookless:
                found += [Task(manifest, phase, self._name(manifest, phase)) for phase in manifest.hooks]
        return sorted((t for t in found if t.sync_phase in _PHASES), key=lambda t: t.order)

    def _name(self, manifest: Manifest, sync_phase: str) -> str:
        if not manifest.generated:
            return manifest.name
        return f"{manifest.name}{self.revision[:7]}-{sync_phase.lower()}-{self.started_at}"


class Syncer:
    def __init__(self, objects: Objects, live: Live, target: Target) -> None:
        self._objects = objects
        self._live = live
        self._target = target
        self._tasks = target.tasks()

    def run(self, results: Sequence[Json]) -> Passed:
        seen = tuple(self._observed(result) for result in results)
        if running := [r for r in seen if _is_running(r)]:
            return Passed(seen, _waiting("completion", running))
        if any(r.get("hookType") and r["hookPhase"] in ("Failed", "Error") for r in seen):
            self._delete("HookFailed")
            return Passed(seen, _FAILED, "Failed")
        known = {(r["syncPhase"], r["kind"], r["name"]) for r in seen}
        rest = [t for t in self._tasks if (t.sync_phase, t.manifest.kind, t.name) not in known]
        if not rest:
            self._delete("HookSucceeded")
            return Passed(seen, _NOTHING_LEFT, "Succeeded")
        wave = next(list(group) for _, group in itertools.groupby(rest, key=lambda t: t.order[:2]))
        return self._wave(seen, wave, last=len(wave) == len(rest))

    # How it stands

    def _observed(self, result: Json) -> Json:
        if not _is_running(result):
            return result
        job = self._objects.find("Job", result["namespace"], result["name"])
        if job is None:
            missing = f"Resource batch/Job/{result['name']} is missing, it might have been deleted"
            return {**result, "status": "SyncFailed", "hookPhase": "Error", "message": missing}
        conditions = {c["type"]: c["message"] for c in (job.get("status") or {}).get("conditions") or ()}
        for condition, hook_phase in (("Failed", "Failed"), ("Complete", "Succeeded")):
            if condition in conditions:
                self._release(job)
                return {**result, "hookPhase": hook_phase, "message": conditions[condition]}
        return result

    def _release(self, job: Json) -> None:
        """The hook finalizer goes when the hook's end was seen."""
        if HOOK_FINALIZER not in (job["metadata"].get("finalizers") or ()):
            return

        def without(old: Json) -> Json:
            left = [f for f in old["metadata"]["finalizers"] if f != HOOK_FINALIZER]
            return {**old, "metadata": {**old["metadata"], "finalizers": left}}

        self._objects.update("Job", job["metadata"]["namespace"], job["metadata"]["name"], without)

    # What is done

    def _wave(self, seen: tuple[Json, ...], wave: list[Task], *, last: bool) -> Passed:
        old = [t for t in wave if t.hook and "BeforeHookCreation" in t.manifest.policies and self._find(t)]
        if old:
            for task in old:
                self._remove(task)
            return Passed(seen, _waiting("deletion", [_row(t, self._target, "") for t in old]), delay=_WAVE_DELAY)
        made = tuple(self._apply(task) for task in wave)
        results = (*seen, *made)
        if refused := [r["message"] for r in made if r["status"] == "SyncFailed"]:
            return Passed(results, f"{_NOT_APPLIED}, reason: {','.join(refused)}", "Failed", _WAVE_DELAY)
        running = [r for r in made if r.get("hookType")]
        if last and not running:
            self._delete("HookSucceeded")
            return Passed(results, _DONE, "Succeeded")
        message = _waiting("completion", running) if running else "one or more tasks are running"
        return Passed(results, message, delay=0.0 if last else _WAVE_DELAY)

    def _apply(self, task: Task) -> Json:
        manifest, target = task.manifest, self._target
        if manifest.kind != "Job" or not task.hook:
            fresh = (manifest.kind, manifest.name) not in self._live
            self._live[manifest.kind, manifest.name] = manifest.body
            return _row(task, target, "created" if fresh else "configured")
        applied = msgspec.json.encode(manifest.body).decode()
        standing = self._find(task)
        if standing is None:
            self._objects.create("Job", _as_made(task, target, applied))
            return _row(task, target, "created")
        if standing["metadata"]["annotations"].get(_APPLIED) != applied:
            template = msgspec.json.encode(manifest.body["spec"]["template"]).decode()
            why = f"spec.template: Invalid value: {template}: field is immutable"
            said = f'error when patching "/dev/shm/{task.name}": Job.batch "{task.name}" is invalid: {why}'
            return {**_row(task, target, ""), "status": "SyncFailed", "hookPhase": "Failed", "message": said}
        return _row(task, target, "configured")

    def stop(self, results: Sequence[Json]) -> tuple[Json, ...]:
        """Terminate: hooks that run are deleted, whatever runs in them."""
        ended = []
        for result in results:
            job = self._objects.find("Job", result["namespace"], result["name"]) if _is_running(result) else None
            if job is not None:
                self._release(job)
                self._objects.delete("Job", result["namespace"], result["name"], propagation="Foreground")
            stopped = {"hookPhase": "Failed", "message": "Terminated"} if _is_running(result) else {}
            ended.append({**result, **stopped})
        return tuple(ended)

    def _delete(self, policy: str) -> None:
        for task in self._tasks:
            if task.hook and policy in task.manifest.policies and self._find(task):
                self._remove(task)

    def _find(self, task: Task) -> Json | None:
        return self._objects.find("Job", self._target.namespace, task.name) if task.manifest.kind == "Job" else None

    def _remove(self, task: Task) -> None:
        job = self._find(task)
        if job is not None:
            self._release(job)
            if self._find(task) is not None and "deletionTimestamp" not in job["metadata"]:
                self._objects.delete("Job", self._target.namespace, task.name, propagation="Foreground")


def _is_running(result: Json) -> bool:
    return bool(result.get("hookType")) and result.get("hookPhase") == "Running"


def _waiting(what: str, rows: Sequence[Json]) -> str:
    first = rows[0]
    more = f" and {len(rows) - 1} more hooks" if len(rows) > 1 else ""
    return f"waiting for {what} of hook {first['group']}/{first['kind']}/{first['name']}{more}"


def _as_made(task: Task, target: Target, applied: str) -> Json:
    meta = task.manifest.body["metadata"]
    tracked = "" if task.manifest.generated else task.name
    annotations = {
        **(meta.get("annotations") or {}),
        TRACKING_ID: f"{target.instance}:batch/Job:{target.namespace}/{tracked}",
        _APPLIED: applied,
    }
    kept = {key: value for key, value in meta.items() if key != "generateName"}
    named = {"name": task.name, "namespace": target.namespace, "annotations": annotations}
    return {**task.manifest.body, "metadata": {**kept, **named, "finalizers": [HOOK_FINALIZER]}}


def _row(task: Task, target: Target, verb: str) -> Json:
    manifest = task.manifest
    what = f"{manifest.kind.lower()}.{manifest.group}" if manifest.group else manifest.kind.lower()
    pod = (manifest.body.get("spec") or {}).get("template", {}).get("spec", {})
    images = [c["image"] for c in pod.get("containers") or () if c.get("image")]
    return {
        "group": manifest.group,
        "version": "v1",
        "kind": manifest.kind,
        "namespace": target.namespace,
        "name": task.name,
        "status": "Synced",
        "message": f"{what}/{task.name} {verb}",
        "hookPhase": "Running",
        "syncPhase": task.sync_phase,
        **({"hookType": task.sync_phase} if task.hook else {}),
        **({"images": images} if images else {}),
    }
