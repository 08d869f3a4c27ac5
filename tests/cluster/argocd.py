"""Argo CD without containers: redis, and the four components that one binary is, by the name it is called by.

The metrics of the application and the notifications controller listen on all interfaces: they have no flag for it.
"""

import base64
import json
import os
import secrets
from pathlib import Path

from tests.cluster.binaries import Binaries
from tests.cluster.kubernetes import Json, Kubernetes, read_manifests
from tests.cluster.processes import Ports, Probe, Process, answers, listens

NAMESPACE = "argocd"
SHIPPED = Path(__file__).parents[2] / "deploy/argocd/argocd-notifications-cm.yaml"
_IN_CLUSTER_URL = "http://hook-responder.hook-responder.svc:8080"


class ArgoCd:
    def __init__(self, folder: Path, binaries: Binaries, kubeconfig: Path, ports: Ports) -> None:
        self._folder = folder
        self._binaries = binaries
        self._kubeconfig = kubeconfig
        self._redis, self._repo, self._server = (ports.free() for _ in range(3))
        self._metrics = {name: ports.free() for name in ("controller", "repo", "notifications", "server")}
        self.services_port = ports.free()
        self.url = f"http://127.0.0.1:{self._server}"

    def redis(self) -> Process:
        command = [
            "redis-server",
            "--port",
            str(self._redis),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        return Process("redis", command, log=self._log("redis"), probe=listens(self._redis))

    def repo_server(self) -> Process:
        flags = {
            "address": "127.0.0.1",
            "port": self._repo,
            "metrics-address": "127.0.0.1",
            "metrics-port": self._metrics["repo"],
            "disable-tls": "true",
            "client-ca-path": "",  # its default is a path, and the two exclude each other
            "redis": f"127.0.0.1:{self._redis}",
        }
        return self._component("argocd-repo-server", flags, listens(self._repo))

    def application_controller(self) -> Process:
        flags = {
            **self._neighbours(),
            "application-namespaces": "*",
            "metrics-port": self._metrics["controller"],
            "redis": f"127.0.0.1:{self._redis}",
        }
        return self._component("argocd-application-controller", flags, listens(self._metrics["controller"]))

    def notifications_controller(self) -> Process:
        flags = {
            "argocd-repo-server": f"127.0.0.1:{self._repo}",
            "argocd-repo-server-plaintext": "true",
            "namespace": NAMESPACE,
            "application-namespaces": "*",
            "self-service-notification-enabled": "true",  # a scenario brings its own config, in its own namespace
            "metrics-port": self._metrics["notifications"],
        }
        # no DNS knows the Services of this cluster: what is sent to a name is sent here, to a proxy as it were
        proxy = {"HTTP_PROXY": f"http://127.0.0.1:{self.services_port}"}
        return self._component("argocd-notifications", flags, listens(self._metrics["notifications"]), **proxy)

    def api_server(self, kubernetes: Kubernetes) -> Process:
        assets = self._folder / "assets"
        assets.mkdir(exist_ok=True)
        flags = {
            **self._neighbours(),
            "address": "127.0.0.1",
            "port": self._server,
            "metrics-address": "127.0.0.1",
            "metrics-port": self._metrics["server"],
            "application-namespaces": "*",
            "insecure": "true",
            "disable-auth": "true",
            "dex-server": "http://127.0.0.1:1",
            "redis": f"127.0.0.1:{self._redis}",
            "staticassets": assets,
        }
        return self._component("argocd-server", flags, answers(kubernetes.session, f"{self.url}/healthz"))

    def _neighbours(self) -> dict[str, object]:
        repo = {"repo-server": f"127.0.0.1:{self._repo}", "repo-server-plaintext": "true"}
        return {**repo, "namespace": NAMESPACE}

    def _component(self, name: str, flags: dict[str, object], probe: Probe, **more: str) -> Process:
        command = [self._binaries.path("argocd"), *(f"--{flag}={value}" for flag, value in flags.items())]
        return Process(name, command, log=self._log(name), probe=probe, environment={**self._environment(name), **more})

    def _environment(self, name: str) -> dict[str, str]:
        home = self._folder / name
        for folder in ("tls", "ssh", "gpg/keys", "gpg/source", "plugins", "tmp"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        return {
            "ARGOCD_BINARY_NAME": name,
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GNUPGHOME": str(home / "gpg/keys"),
            "ARGOCD_GPG_DATA_PATH": str(home / "gpg/source"),
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_PLUGINSOCKFILEPATH": str(home / "plugins"),
            "ARGOCD_SSH_DATA_PATH": str(home / "ssh"),
            "ARGOCD_TLS_DATA_PATH": str(home / "tls"),
            "HOME": str(home),
            "HOSTNAME": f"{name}-0",
            "KUBECONFIG": str(self._kubeconfig),
            "PATH": f"{self._binaries.folder}:{os.environ['PATH']}",  # git-verify-wrapper.sh is looked for there
            "TMPDIR": str(home / "tmp"),
        }

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


async def provide(kubernetes: Kubernetes, binaries: Binaries) -> None:
    """What ``kubectl apply -k`` of Argo CD's install manifests leaves in a cluster, without its workloads."""
    await kubernetes.apply(_item("v1", "Namespace", NAMESPACE))
    for resource in read_manifests(*binaries.custom_resources):
        await kubernetes.apply(resource)
    for name in ("argocd-cm", "argocd-rbac-cm", "argocd-notifications-cm"):
        await kubernetes.apply(_item("v1", "ConfigMap", name), NAMESPACE)
    parameters = _item("v1", "ConfigMap", "argocd-cmd-params-cm", data={"application.namespaces": "*"})
    await kubernetes.apply(parameters, NAMESPACE)  # as our flags say
    await kubernetes.apply(_item("v1", "Secret", "argocd-notifications-secret"), NAMESPACE)
    await kubernetes.apply(_secret("argocd-secret", {"server.secretkey": secrets.token_hex(16)}), NAMESPACE)
    for name in ("applications", "appprojects", "applicationsets"):
        where = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}.argoproj.io"
        await kubernetes.until(where, _established)
    await kubernetes.apply(_item("argoproj.io/v1alpha1", "AppProject", "default", spec=EVERYTHING), NAMESPACE)


EVERYTHING: Json = {
    "sourceRepos": ["*"],
    "sourceNamespaces": ["*"],
    "destinations": [{"server": "*", "namespace": "*"}],
    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
}


async def notify(kubernetes: Kubernetes, url: str, token: str, namespace: str = NAMESPACE) -> None:
    """The shipped notifications config and its Secret, as the words above the config say. In another namespace than
    Argo CD's it tells of the Applications there alone."""
    [config] = read_manifests(SHIPPED)
    data = {key: value.replace(_IN_CLUSTER_URL, url) for key, value in config["data"].items()}
    await kubernetes.apply(_secret("argocd-notifications-secret", {"hook-responder-token": token}), namespace)
    await kubernetes.apply({**_item("v1", "ConfigMap", "argocd-notifications-cm"), "data": data}, namespace)


async def notify_by_the_catalog(kubernetes: Kubernetes, url: str, token: str, namespace: str) -> None:
    """As people who only name us in a subscription: the catalog's trigger and template, which is a text."""
    service = {"url": url, "headers": [{"name": "Authorization", "value": "Bearer $hook-responder-token"}]}
    data = {
        "service.webhook.hook-responder": json.dumps(service),
        "template.app-sync-failed": _CATALOG_TEMPLATE,
        "trigger.on-sync-failed": _CATALOG_TRIGGER,
        "subscriptions": json.dumps([{"recipients": ["hook-responder"], "triggers": ["on-sync-failed"]}]),
    }
    await kubernetes.apply(_secret("argocd-notifications-secret", {"hook-responder-token": token}), namespace)
    await kubernetes.apply({**_item("v1", "ConfigMap", "argocd-notifications-cm"), "data": data}, namespace)


# notifications_catalog/install.yaml of v3.5.7, less what is for services other than a webhook.
_CATALOG_TEMPLATE = """\
message: |
  {{if eq .serviceType "slack"}}:exclamation:{{end}}  The sync operation of application {{.app.metadata.name}} has \
failed at {{.app.status.operationState.finishedAt}} with the following error: {{.app.status.operationState.message}}
  Sync operation details are available at: {{.context.argocdUrl}}/applications/{{.app.metadata.name}}?operation=true .
"""
_CATALOG_TRIGGER = """\
- description: Application syncing has failed
  oncePer: app.status.operationState?.syncResult?.revision
  send:
  - app-sync-failed
  when: app.status.operationState != nil and app.status.operationState.phase in ['Error', 'Failed']
"""


def _established(definition: Json) -> bool:
    conditions = definition.get("status", {}).get("conditions") or ()  # null at first
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _secret(name: str, values: dict[str, str]) -> Json:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {**_item("v1", "Secret", name), "data": encoded}


def _item(api_version: str, kind: str, name: str, **fields: object) -> Json:
    labels = {"app.kubernetes.io/part-of": "argocd"}  # Argo CD looks for it
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels}, **fields}
