"""Listing many Applications: our decoding of what is needed against ``json.loads`` of everything, and what is held.

One entry of history each: every further one of the ten that are kept costs 240 bytes.
Each measure runs in a process of its own: memory that was used once is not given back.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from responder.cluster.reflector import PAGE
from responder.cluster.wire import decoders
from responder.core.appwire import decode_application
from responder.core.argocd import Application
from responder.core.redaction import Redactor

APPLICATIONS, HELD = 10_000, 50_000
SIZE = 10 << 10
ROUNDS = 5


def page() -> bytes:
    """A page as the API server gives it: Applications of 10 KB, as a real one is, each at a commit of its own."""
    return msgspec.json.encode(
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationList", "metadata": {"resourceVersion": "1"},
         "items": [application(n) for n in range(PAGE)]}
    )  # fmt: skip


def application(number: int) -> dict[str, Any]:
    name = f"service-{number}"
    path = Path(__file__).parent.parent / "recordings" / "s01-success" / "applications.jsonl"
    text = path.read_text(encoding="utf-8").splitlines()[-1]
    found: dict[str, Any] = json.loads(text.replace(_COMMIT, f"{_PAGE}{number:034x}"))["object"]
    meta = {**found["metadata"], "name": name, "uid": f"00000000-0000-4000-8000-{number:012}"}
    app = {**found, "metadata": meta}
    kinds = ("Deployment", "Service", "ConfigMap", "Ingress", "ServiceAccount")
    status = {**found["status"], "resources": []}
    app["status"] = status
    while len(json.dumps(app)) < SIZE:
        kind = kinds[len(status["resources"]) % len(kinds)]
        status["resources"] += [
            {"group": "apps", "version": "v1", "kind": kind, "namespace": name, "name": f"{name}-{n}",
             "status": "Synced", "health": {"status": "Healthy"}}
            for n in range(len(status["resources"]), len(status["resources"]) + 8)
        ]  # fmt: skip
    return app


_COMMIT = "ebc30a5dbd95e377a6e17d067572187f82fa3129"  # of the recording
_PAGE = "c0ffee"  # begins each commit until the page gets its number
_redact = Redactor(b"a key of this installation").text
_decode, _ = decoders(msgspec.Raw, lambda raw: decode_application(raw, _redact))


def decode_page(body: bytes) -> Sequence[Application]:
    """As the watch of Applications does it."""
    return _decode(body).items


def pages(applications: int) -> Iterator[bytes]:
    """Few are made and many are told: names differ within a page."""
    made = page()
    for number in range(applications // PAGE):
        yield made.replace(b"service-", f"s{number}-".encode()).replace(_PAGE.encode(), f"{number:06x}".encode())


def rate(decode: Callable[[bytes], object]) -> float:
    """Seconds of CPU for all pages, one at a time, nothing held."""
    took = 0.0
    for body in pages(APPLICATIONS):
        began = time.process_time()
        decode(body)
        took += time.process_time() - began
    return took


def whole() -> float:
    """Seconds of CPU of json.loads for the list in one piece, as most clients take it."""
    body = b"[" + b",".join(pages(APPLICATIONS)) + b"]"
    began = time.process_time()
    json.loads(body)
    return time.process_time() - began


def hold(applications: int) -> tuple[float, float]:
    """MiB at the peak above the start, and KiB a held Application."""
    first = next(pages(PAGE))
    decode_page(first)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = [app for body in pages(applications) for app in decode_page(body)]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return grown / 1024, grown / len(held)


def main() -> None:
    for count in (APPLICATIONS, HELD):  # first: a child's peak begins at ours
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.listing", str(count)], capture_output=True, text=True, check=True
        )
        print(done.stdout.strip())
    bodies = next(pages(PAGE))
    ours = [rate(decode_page) for _ in range(ROUNDS)]
    theirs = [rate(json.loads) for _ in range(ROUNDS)]
    at_once = [whole() for _ in range(3)]
    print(f"{APPLICATIONS:,} Applications of {len(bodies) / PAGE / 1024:.1f} KiB, {ROUNDS} rounds, seconds of CPU")
    print(f"{'ours':28} {statistics.median(ours):6.2f} s ({min(ours):.2f} to {max(ours):.2f})")
    for name, took in (("json.loads, page by page", theirs), ("json.loads, in one piece", at_once)):
        ratio = statistics.median(took) / statistics.median(ours)
        print(
            f"{name:28} {statistics.median(took):6.2f} s ({min(took):.2f} to {max(took):.2f}), {ratio:.1f} times ours"
        )


if __name__ == "__main__":
    if sys.argv[1:]:
        memory, each = hold(int(sys.argv[1]))
        print(f"{int(sys.argv[1]):,} held: {memory:.0f} MiB, {each:.2f} KiB each (peak, one page more included)")
    else:
        main()
