"""etcd, kube-apiserver and kube-controller-manager: who they are to one another, and with which flags they run."""

from pathlib import Path

from tests.cluster.binaries import Binaries
from tests.cluster.certificates import Authority, Pair, service_account_key
from tests.cluster.kubernetes import Kubernetes, write_kubeconfig
from tests.cluster.processes import Ports, Process, answers, listens

NODE = "node-1"
_ADMIN = "of-an-administrator-of-these-tests"


class ControlPlane:
    """Made of files and ports first; its programs start later."""

    def __init__(self, folder: Path, binaries: Binaries, ports: Ports) -> None:
        self.folder = folder
        self.token = _ADMIN
        self._binaries = binaries
        self._etcd, self._peer, self._port = (ports.free() for _ in range(3))
        self.url = f"https://127.0.0.1:{self._port}"
        authority = Authority(folder)
        self.ca = authority.certificate
        self._serving = authority.issue("kube-apiserver")
        self._towards_kubelet = authority.issue("kube-apiserver-kubelet-client")
        self.kubelet_serving: Pair = authority.issue(NODE)
        self._account_key = folder / "service-accounts.key"
        service_account_key(self._account_key)
        self._tokens = folder / "tokens.csv"
        self._tokens.write_text("")
        self._add_token(self.token, "administrator")

    def kubeconfig(self, user: str, namespace: str = "default") -> Path:
        """Of an administrator under this name, so that one can see who did what. Before the API server starts."""
        token = f"of-{user}"
        self._add_token(token, user)
        return write_kubeconfig(self.folder / f"{user}.kubeconfig", self.url, self.ca, token, namespace)

    def _add_token(self, token: str, user: str) -> None:
        with self._tokens.open("a") as tokens:
            tokens.write(f'{token},{user},{user},"system:masters"\n')

    def client(self) -> Kubernetes:
        return Kubernetes(self.url, self.token, self.ca)

    def etcd(self) -> Process:
        client, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        command = [
            self._binaries.path("etcd"),
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]
        return Process("etcd", command, log=self.folder / "etcd.log", probe=listens(self._etcd))

    def apiserver(self, client: Kubernetes) -> Process:
        flags = {
            "advertise-address": "127.0.0.1",
            "allow-privileged": "true",
            "authorization-mode": "RBAC",
            "bind-address": "127.0.0.1",
            "endpoint-reconciler-type": "none",
            "etcd-servers": f"http://127.0.0.1:{self._etcd}",
            "kubelet-certificate-authority": self.ca,
            "kubelet-client-certificate": self._towards_kubelet.certificate,
            "kubelet-client-key": self._towards_kubelet.key,
            "kubelet-preferred-address-types": "InternalIP",
            "profiling": "false",
            "secure-port": self._port,
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": self._account_key,
            "service-account-signing-key-file": self._account_key,
            "service-cluster-ip-range": "10.96.0.0/24",
            "tls-cert-file": self._serving.certificate,
            "tls-private-key-file": self._serving.key,
            "token-auth-file": self._tokens,
        }
        command = [self._binaries.path("kube-apiserver"), *_flags(flags)]
        probe = answers(client.session, "/readyz")
        return Process("apiserver", command, log=self.folder / "apiserver.log", probe=probe, grace=3)  # watches hold it

    def controller_manager(self, kubeconfig: Path, ports: Ports, client: Kubernetes) -> Process:
        port = ports.free()
        flags = {
            "bind-address": "127.0.0.1",
            "concurrent-job-syncs": 10,
            "controllers": "*,-node-ipam-controller,-node-lifecycle-controller",
            "kube-api-burst": 200,  # the default would make tests that run side by side wait for each other
            "kube-api-qps": 100,
            "kubeconfig": kubeconfig,
            "leader-elect": "false",
            "root-ca-file": self.ca,
            "secure-port": port,
            "service-account-private-key-file": self._account_key,
            "tls-cert-file": self._serving.certificate,
            "tls-private-key-file": self._serving.key,
        }
        command = [self._binaries.path("kube-controller-manager"), *_flags(flags)]
        probe = answers(client.session, f"https://127.0.0.1:{port}/healthz")
        return Process("controller-manager", command, log=self.folder / "controller-manager.log", probe=probe)


def _flags(values: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]
