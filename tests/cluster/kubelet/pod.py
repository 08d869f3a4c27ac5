"""A Pod as its containers know it."""

from collections.abc import Callable
from pathlib import Path

from tests.cluster.kubelet.api import Json
from tests.cluster.kubelet.faults import Faults
from tests.cluster.kubelet.host import Host
from tests.cluster.kubelet.mounts import Volumes


class Pod:
    """What a container needs to know of its Pod. ``changed`` is to be called when its status is another."""

    def __init__(self, host: Host, found: Json, folder: Path, address: str, changed: Callable[[], None]) -> None:
        self.host = host
        self.found = found
        self.folder = folder
        self.address = address
        self.volumes = Volumes(host, found, address, folder / "volumes")
        self.faults: Faults = {}
        self.changed = changed
        metadata = found["metadata"]
        self.name: str = metadata["name"]
        self.namespace: str = metadata["namespace"]
        self.uid: str = metadata["uid"]

    def __str__(self) -> str:
        return f"{self.name}_{self.namespace}({self.uid})"

    def tell(self, kind: str, reason: str, message: str, field: str | None = None) -> None:
        about = {"kind": "Pod", "apiVersion": "v1", "name": self.name, "namespace": self.namespace, "uid": self.uid}
        about["resourceVersion"] = self.found["metadata"]["resourceVersion"]
        self.host.events.tell(about | ({"fieldPath": field} if field else {}), kind, reason, message)
