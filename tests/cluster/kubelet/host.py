"""What all Pods of a node have in common."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.kubelet.api import Api
from tests.cluster.kubelet.events import Events
from tests.cluster.kubelet.images import Images


@dataclass(frozen=True)
class Host:
    """``back_off``: seconds of the first wait after a crash or a failed pull, doubled each time up to 30 times that."""

    api: Api
    events: Events
    images: Images
    node: str
    state: Path
    kept: Path  # every log that was ever written: NAMESPACE/POD-UID/CONTAINER/RESTART/GENERATION.log
    back_off: float
    service_host: str
    service_port: str


ADDRESS = "127.0.0.1"
