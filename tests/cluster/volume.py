"""What outlives the Pods, as a database does: a folder of the node that a hook writes to."""

from pathlib import Path
from typing import Any

from tests.cluster.kubernetes import Json
from tests.cluster.manifests import hook

COUNTED = "run=0; until (set -C; : >tried.$run) 2>/dev/null; do run=$((run + 1)); done"  # -C: only one makes a file


class Volume:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def hook(self, script: str, **job: Any) -> Json:
        """``script`` runs in the folder, where each run leaves a file ``tried.NUMBER``; many may run at once."""
        pod = {"volumes": [{"name": "kept", "hostPath": {"path": str(self.folder)}}]}
        mounted = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
        return hook(f"cd /kept; {COUNTED}\n{script}", pod=pod, container=mounted, **job)

    @property
    def tried(self) -> int:
        return len(list(self.folder.glob("tried.*")))
