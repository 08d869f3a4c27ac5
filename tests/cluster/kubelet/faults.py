"""Faults on demand: by annotation ``kubelet.test/fault`` of a Pod, or later over the control socket.

A comma-separated list of:
    oom            the container is killed as out of memory when it has written its first line
    oom=TEXT       ... when it has written a line that holds TEXT
    evict          the Pod is evicted once it runs; evict=TEXT says why
    log-refused    the log endpoint answers 500
    log-slow=S     the log endpoint waits S seconds before each line
    log-rotate=N   a log file holds N lines, then begins anew: earlier ones are lost to who asks later; holds from
                   the next start of a container on, see the order ``rotate`` for one that runs
"""

from typing import Final

from tests.cluster.kubelet.api import Json

ANNOTATION: Final = "kubelet.test/fault"
KNOWN: Final = frozenset({"oom", "evict", "log-refused", "log-slow", "log-rotate"})
NUMBERED: Final = frozenset({"log-slow", "log-rotate"})

Faults = dict[str, str]


def parse_faults(text: str) -> Faults:
    """Raises ValueError for what would do nothing: a fault that is none hides a broken test."""
    faults: Faults = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in KNOWN:
            raise ValueError(f"unknown fault {name!r}, known are {', '.join(sorted(KNOWN))}")
        if name in NUMBERED and not float(value) > 0:
            raise ValueError(f"{name} needs a number above 0")
        faults[name] = value
    return faults


def faults_of(pod: Json) -> Faults:
    return parse_faults(pod["metadata"].get("annotations", {}).get(ANNOTATION, ""))
