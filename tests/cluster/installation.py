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

from tests.cluster.argocd import NAMESPACE, notify
from tests.cluster.kubernetes import Json, Kubernetes, path, read_manifests, write_kubeconfig
from tests.cluster.running import Running
from tests.service.process import TOKEN, Service, write_config

DEPLOY = Path(__file__).parents[2] / "deploy/kustomize"
READER, LEASE = DEPLOY / "base/reader.yaml", DEPLOY / "base/lease.yaml"
ACTUATOR = DEPLOY / "components/actuator/actuator.yaml"
BOUND = ("hook-responder-reader", "hook-responder-actuator")  # the cluster roles, and the bindings of them
_RBAC = "rbac.authorization.k8s.io/v1"
_ACCOUNT = "hook-responder"
_SHADOW = "version: 1\nrules: []\n"


class Installation:
    def __init__(self, running: Running, kubernetes: Kubernetes, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self.folder = folder
        self.port = _free_port()
        self._running = running
        self._kubernetes = kubernetes

    @property
    def url(self) -> str:
        """Of the responder, as soon as it runs."""
        return f"http://127.0.0.1:{self.port}"

    async def install(
        self,
        *,
        rules: str = _SHADOW,
        roles: Sequence[Path] = (READER, LEASE, ACTUATOR),
        namespaced: bool = False,
        webhooks: bool = True,
        webhooks_to: str = "",
        engaged: bool = False,
        **settings: Any,
    ) -> Service:
        """Not started yet: ``async with`` it. ``settings`` are laid over those of ``responder.yaml``. ``namespaced``:
        the cluster roles are bound in this namespace and in Argo CD's alone."""
        kubernetes = self._kubernetes
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT}}
        await kubernetes.apply(account, self.namespace)
        for item in read_manifests(*roles):
            for one in self._bound_here(item, namespaced=namespaced):
                await kubernetes.apply(one, self.namespace)
        await self.switch(engaged=engaged)
        if webhooks:
            await notify(kubernetes, webhooks_to or self.url, TOKEN, self.namespace)
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

    async def uninstall(self) -> None:
        """What does not go with the namespace."""
        for name in BOUND:
            mine = f"{name}-{self.namespace}"
            await self._kubernetes.delete(path(_RBAC, "ClusterRoleBinding", name=mine))
            await self._kubernetes.delete(path(_RBAC, "RoleBinding", NAMESPACE, mine))

    def _bound_here(self, item: Json, *, namespaced: bool) -> list[Json]:
        """A binding names this namespace's account. Cluster roles are the same for all; a binding has its own name."""
        if not item["kind"].endswith("Binding"):
            return [item]
        bound = copy.deepcopy(item)
        for subject in bound["subjects"]:
            subject["namespace"] = self.namespace
        if bound["kind"] != "ClusterRoleBinding":
            return [bound]
        bound["metadata"]["name"] += f"-{self.namespace}"
        if not namespaced:
            return [bound]
        meta = bound["metadata"]
        places = (self.namespace, NAMESPACE)
        return [{**bound, "kind": "RoleBinding", "metadata": {**meta, "namespace": place}} for place in places]


def rule(name: str, when: Json, *do: Json, mode: str = "live", **defaults: object) -> str:
    """A rules file of one rule."""
    return rules({"name": name, "when": when, "do": list(do), "mode": mode}, **defaults)


def rules(*each: Json, **defaults: object) -> str:
    """A rules file of these; ``defaults``: a budget, a cooldown."""
    return yaml.safe_dump({"version": 1, "defaults": defaults, "rules": list(each)}, sort_keys=False)


def _free_port() -> int:
    """For a process that will take it in a moment, and take it again when it is started again."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
