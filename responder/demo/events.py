"""Events, as controllers write them: the same one again raises its count."""

from responder.demo.admission import stamp
from responder.demo.objects import Objects
from responder.demo.resources import Json


def tell(objects: Objects, about: Json, kind: str, reason: str, message: str, component: str) -> None:
    """``kind`` is Normal or Warning."""
    meta, now = about["metadata"], stamp(objects.clock.now())
    namespace = meta["namespace"]
    for event in objects.list("Event", namespace):
        if event["involvedObject"]["uid"] == meta["uid"] and (event["reason"], event["message"]) == (reason, message):
            again = {"count": event["count"] + 1, "lastTimestamp": now}
            objects.patch("Event", namespace, event["metadata"]["name"], again)
            return
    involved = {name: meta[name] for name in ("namespace", "name", "uid", "resourceVersion")}
    serial = f"{objects.resource_version:016x}"
    objects.create(
        "Event",
        {
            "metadata": {"name": f"{meta['name']}.{serial}", "namespace": namespace},
            "involvedObject": {"kind": about["kind"], "apiVersion": about["apiVersion"], **involved},
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        },
    )
