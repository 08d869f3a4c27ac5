"""A cluster in which all is well, for ``responder doctor`` to look at; tests break one thing at a time."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from responder.cluster.client import Kubernetes
from responder.cluster.doctor import examine
from responder.config import Settings
from responder.core.checkup import Finding
from responder.core.clustersetup import NOTIFIED
from responder.demo.api import Api, Ask
from responder.demo.apiserver import ApiServer
from responder.demo.objects import Objects
from responder.demo.settings import prepare
from responder.doctoring import fingerprints
from responder.shipped import snippet
from responder.wallclock import WallClock

Json = dict[str, Any]

TOKEN = "argocd-sends-this"
NOTIFICATIONS = "argocd-notifications-cm"
READING = frozenset({"get", "list", "watch"})
READABLE = frozenset({"applications", "appprojects", "jobs", "pods", "events", "atlasmigrations", "atlasschemas"})


def reader(ask: Ask) -> bool:
    """The shipped reader role."""
    if ask.resource == "configmaps":
        return ask.verb == "get" and ask.name == "responder-killswitch"
    return ask.verb in READING and ask.resource in READABLE


def actuator(ask: Ask) -> bool:
    """Both shipped roles, and a person's right to see the rest."""
    acts = (ask.verb, ask.resource) in {("patch", "applications"), ("delete", "jobs")}
    return acts or ask.verb in READING


class Clinic:
    def __init__(self, objects: Objects, api: Api, server: ApiServer, settings: Settings) -> None:
        self.objects = objects
        self.api = api
        self.server = server
        self.settings = settings

    def change(self, kind: str, namespace: str, name: str, change: Callable[[Json], None]) -> None:
        def changed(old: Json) -> Json:
            new: Json = yaml.safe_load(yaml.safe_dump(old))
            change(new)
            return new

        self.objects.update(kind, namespace, name, changed)

    def config(self, **data: str | None) -> None:
        """Changes keys of Argo CD's notifications config (``__`` for a dot, ``_`` for a dash); None takes one out."""

        def change(item: Json) -> None:
            for key, value in data.items():
                name = key.replace("__", ".").replace("_", "-")
                if value is None:
                    del item["data"][name]
                else:
                    item["data"][name] = value

        self.change("ConfigMap", "argocd", NOTIFICATIONS, change)

    def secret(self, token: str | None) -> None:
        data = {} if token is None else {"hook-responder-token": base64.b64encode(token.encode()).decode()}
        self.change("Secret", "argocd", "argocd-notifications-secret", lambda item: item.update(data=data))

    def settle(self, **parts: Json) -> None:
        """Other settings, by section."""
        told = {name: {**getattr(self.settings, name).model_dump(), **part} for name, part in parts.items()}
        self.settings = Settings.model_validate({**self.settings.model_dump(), **told})

    async def found(self, *, outside: bool = False, account: str = "hook-responder:hook-responder") -> list[Finding]:
        config = self.settings.clusters[0]
        async with Kubernetes.from_url(self.server.url) as kubernetes:
            examination = await examine(
                kubernetes,
                config,
                self.settings,
                clock=WallClock(),
                shipped=yaml.safe_load(snippet("argocd"))["data"],
                tokens=fingerprints(self.settings),
                account=account,
                outside=outside,
            )
        return list(examination.findings)

    async def ids(self, **how: Any) -> list[str]:
        return [finding.id for finding in await self.found(**how)]


@asynccontextmanager
async def clinic(folder: Path) -> AsyncIterator[Clinic]:
    objects = Objects(WallClock())
    _healthy(objects)
    api = Api(objects, allow=actuator)
    (folder / "webhook-token").write_text(TOKEN + "\n", encoding="utf-8")
    async with ApiServer(api) as server:
        told = {
            "clusters": [{"name": "in-cluster", "url": server.url}],
            "store": {"url": f"sqlite://{folder / 'responder.db'}"},
            "webhook": {"token_files": [folder / "webhook-token"]},
            "actions": {"mode": "live"},
            "retention": {"size": 1024},
        }
        yield Clinic(objects, api, server, Settings.model_validate(told))


def _healthy(objects: Objects) -> None:
    prepare(objects, ["shop"])
    for name in ("argocd-application-controller", "argocd-notifications-controller"):
        labels = {"app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/name": name}
        container = {"name": "main", "image": "quay.io/argoproj/argocd:v3.5.7"}
        meta = {"name": f"{name}-0", "namespace": "argocd", "labels": labels}
        objects.create("Pod", {"metadata": meta, "spec": {"containers": [container]}})
    objects.create("ConfigMap", yaml.safe_load(snippet("argocd")))
    objects.create("ConfigMap", {"metadata": {"name": "argocd-cmd-params-cm", "namespace": "argocd"}, "data": {}})
    encoded = base64.b64encode(TOKEN.encode()).decode()
    secret = {"metadata": {"name": "argocd-notifications-secret", "namespace": "argocd"}}
    objects.create("Secret", {**secret, "data": {"hook-responder-token": encoded}})
    objects.create("ValidatingAdmissionPolicy", {"metadata": {"name": "hook-responder-applications"}, "spec": {}})
    application(objects, "orders")


def application(objects: Objects, name: str, namespace: str = "argocd", **policy: Any) -> None:
    """Automated, with a retry of its own, and looked at by Argo CD just now."""
    sync = {"automated": {}, "retry": {"limit": 3}, **policy}
    spec = {"project": "default", "destination": {"namespace": "shop"}, "syncPolicy": sync}
    meta = {"name": name, "namespace": namespace, "annotations": {NOTIFIED: "{}"}}
    status = {"reconciledAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    objects.create("Application", {"metadata": meta, "spec": spec, "status": status})
