"""``responder doctor`` as a process, in an installation of a story."""

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from tests.cluster.kubernetes import Json
from tests.cluster.story import Story

_PATIENCE = 60.0


class Checkup(msgspec.Struct, frozen=True):
    status: int
    findings: tuple[Json, ...]

    @property
    def to_mend(self) -> list[str]:
        """The worst first; notes are nothing to mend."""
        return [finding["id"] for finding in self.findings if finding["severity"] != "note"]

    def told(self, finding: str) -> str:
        """Its words: title, details, remedy."""
        [one] = [one for one in self.findings if one["id"] == finding]
        return "\n".join([one["title"], *one["details"], one["remedy"]])


async def doctor(story: Story, config: Path | None = None, *, outside: bool = False) -> Checkup:
    """With the service's own rights, or from ``outside`` with an administrator's."""
    said = await told("doctor", "--json", "--config", str(config or story.responder.config), *_visit(story, outside))
    return Checkup(said[0], tuple(json.loads(line) for line in said[1].splitlines()))


def _visit(story: Story, outside: bool) -> list[str]:
    if not outside:
        return []
    account = f"{story.namespace}:hook-responder"
    return ["--kubeconfig", str(story.running.kubeconfig), "--service-account", account]


async def told(*command: str) -> tuple[int, str]:
    """Exit status and standard output of ``responder COMMAND``."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "responder", *command, stdout=pipe)
    out, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
    assert process.returncode is not None
    return process.returncode, out.decode()
