"""The responder as it is shipped, installed in one namespace: its RBAC and nothing more, its kill switch, its webhook.

It runs as a process on this machine, with the token of its ServiceAccount. The Applications of that namespace are its
own, so that many stories can run side by side on one Argo CD.
"""

import copy
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.argocd import notify
from tests.cluster.kubernetes import Json, Kubernetes, read_manifests, write_kubeconfig
from tests.cluster.running import Running
from tests.service.process import TOKEN, Service, write_config

DEPLOY = Path(__file__).parents[2] / "deploy/kustomize"
READER, LEASE = DEPLOY / "base/reader.yaml", DEPLOY / "base/lease.yaml"
ACTUATOR = DEPLOY / "components/actuator/actuator.yaml"
_ACCOUNT = "hook-responder"
_SHADOW = "version: 1\nrules: []\n"


class Installation:
    def __init__(self, running: Running, kubernetes: Kubernetes, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self.folder = folder
        self.port = _free_port()
        self._running = running
        self._kubernetes = kubernetes

    async def install(
        self,
        *,
        rules: str = _SHADOW,
        roles: Sequence[Path] = (READER, LEASE, ACTUATOR),
        webhooks: bool = True,
        engaged: bool = False,
        **settings: Any,
    ) -> Service:
        """Not started yet: ``async with`` it. ``settings`` are laid over those of ``responder.yaml``."""
        kubernetes = self._kubernetes
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT}}
        await kubernetes.apply(account, self.namespace)
        for item in read_manifests(*roles):
            await kubernetes.apply(self._bound_here(item), self.namespace)
        await self.switch(engaged=engaged)
        if webhooks:
            await notify(kubernetes, f"http://127.0.0.1:{self.port}", TOKEN, self.namespace)
        return Service(await self._configure(rules, settings))

    async def switch(self, *, engaged: bool) -> None:
        data = {"engaged": "true" if engaged else "false"}
        meta = {"name": "responder-killswitch"}
        await self._kubernetes.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}, self.namespace
        )

    async def _configure(self, rules: str, settings: Json) -> Path:
        where = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{_ACCOUNT}/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
        token = (await self._kubernetes.call("POST", where, asked))["status"]["token"]
        kubeconfig = write_kubeconfig(
            self.folder / "kubeconfig", self._running.url, self._running.ca, token, self.namespace
        )
        cluster: Json = {"name": "in-cluster", "kubeconfig": str(kubeconfig), "context": "tests"}
        return write_config(
            self.folder, "", rules,
            **{
                "listen": {"host": "127.0.0.1", "port": self.port},
                "clusters": [{**cluster, "namespaces": [self.namespace]}],
                "argocd": {"namespace": "argocd", "application_namespaces": [self.namespace]},
                "killswitch": {"namespace": self.namespace, "name": "responder-killswitch"},
                **settings,
            },
        )  # fmt: skip

    def _bound_here(self, item: Json) -> Json:
        """A binding names this namespace's account. Cluster roles are the same for all; a binding has its own name."""
        if not item["kind"].endswith("Binding"):
            return item
        bound = copy.deepcopy(item)
        for subject in bound["subjects"]:
            subject["namespace"] = self.namespace
        if bound["kind"] == "ClusterRoleBinding":
            bound["metadata"]["name"] += f"-{self.namespace}"
        return bound


def rule(name: str, when: Json, *do: Json, mode: str = "live") -> str:
    """A rules file of one rule."""
    one = {"name": name, "when": when, "do": list(do), "mode": mode}
    return yaml.safe_dump({"version": 1, "rules": [one]}, sort_keys=False)


def _free_port() -> int:
    """For a process that will take it in a moment, and take it again when it is started again."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
