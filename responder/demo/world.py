"""A whole cluster in memory: its objects, the models that act on them, and the Git that they deploy from."""

from collections.abc import Mapping, Sequence

from responder.core.argocd import AppKey
from responder.demo.admission import stamp
from responder.demo.agenda import Agenda
from responder.demo.comparing import in_progress
from responder.demo.controller import ModelController
from responder.demo.jobs import JobController, Plays
from responder.demo.objects import Objects
from responder.demo.repository import Repository
from responder.demo.resources import Json
from responder.ports import Clock

ARGOCD = "argocd"
IN_CLUSTER = "https://kubernetes.default.svc"


class World:
    def __init__(self, clock: Clock, plays: Plays) -> None:
        self.objects = Objects(clock, graceful_pods=True)
        self.agenda = Agenda(clock)
        self.repository = Repository()
        self.jobs = JobController(self.objects, self.agenda, plays)
        self.controller = ModelController(self.objects, self.agenda, self.repository, namespace=ARGOCD)

    def application(self, name: str) -> Json:
        return self.objects.get("Application", ARGOCD, name)

    def state(self, name: str) -> Json:
        """Its ``operationState``; empty while there is none."""
        found: Json = (self.application(name).get("status") or {}).get("operationState") or {}
        return found

    def deploy(
        self,
        name: str,
        manifests: Sequence[Json],
        *,
        policy: Json | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> str:
        """Commits, and makes the Application; answers the revision."""
        url = repository_of(name)
        revision = self.repository.commit(url, manifests)
        self.objects.create(
            "Application",
            {
                "metadata": {
                    "name": name,
                    "namespace": ARGOCD,
                    "labels": dict(labels or {}),
                    "annotations": dict(annotations or {}),
                },
                "spec": {
                    "project": "default",
                    "destination": {"server": IN_CLUSTER, "namespace": name},
                    "source": {"repoURL": url, "path": ".", "targetRevision": "main"},
                    **({"syncPolicy": policy} if policy is not None else {}),
                },
            },
        )
        return revision

    def push(self, name: str, manifests: Sequence[Json]) -> str:
        return self.repository.commit(repository_of(name), manifests)

    # What a person does, by Argo CD's API server

    def sync(self, name: str, *, by: str = "alice", **operation: Json) -> bool:
        """False: another operation is already in progress. The old state is cleared, as the API server does."""
        app = self.application(name)
        if app.get("operation") is not None or in_progress((app.get("status") or {}).get("operationState")):
            return False
        head = self.repository.resolve(repository_of(name), "")
        request = {
            "initiatedBy": {"username": by},
            "sync": {"revision": head, "syncStrategy": {"hook": {}}},
            **operation,
        }
        status = {key: value for key, value in (app.get("status") or {}).items() if key != "operationState"}
        self.objects.update("Application", ARGOCD, name, lambda old: {**old, "status": status, "operation": request})
        return True

    def terminate(self, name: str) -> bool:
        app = self.application(name)
        if app.get("operation") is None or not in_progress(app.get("status", {}).get("operationState")):
            return False
        change = {"status": {"operationState": {"phase": "Terminating"}}}
        self.objects.patch("Application", ARGOCD, name, change)
        return True

    def refresh(self, name: str) -> None:
        """As ``argocd app get --refresh``: an annotation is set, the Application is looked at."""
        moment = stamp(self.objects.clock.now())
        annotations = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": f"normal {moment}"}}}
        self.objects.patch("Application", ARGOCD, name, annotations)
        self.controller.look(AppKey(ARGOCD, name))


def repository_of(name: str) -> str:
    return f"https://git.example.com/{name}"


def hook_job(
    name: str,
    *,
    image: str = "registry.example.com/app:1",
    phase: str = "PreSync",
    policy: str = "",
    annotations: Mapping[str, str] | None = None,
    container: Json | None = None,
    spec: Json | None = None,
    generate: bool = False,
) -> Json:
    """A hook as people write it: one container named ``migrate``, ``backoffLimit: 0``, ``restartPolicy: Never``."""
    marks = {"argocd.argoproj.io/hook": phase, **(annotations or {})}
    if policy:
        marks["argocd.argoproj.io/hook-delete-policy"] = policy
    pod = {"restartPolicy": "Never", "containers": [{"name": "migrate", "image": image, **(container or {})}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName" if generate else "name": name, "annotations": marks},
        "spec": {"backoffLimit": 0, **(spec or {}), "template": {"spec": pod}},
    }


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, image: str) -> Json:
    pod = {"containers": [{"name": name, "image": image}]}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {"spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
