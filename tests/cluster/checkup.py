"""``responder doctor`` in an installation of a story: its exit status and what it prints."""

import io
import json

import msgspec

from responder.config import load_settings
from responder.doctoring import Visit, look, report
from tests.cluster.kubernetes import Json
from tests.cluster.story import Story


class Checkup(msgspec.Struct, frozen=True):
    status: int
    findings: tuple[Json, ...]

    @property
    def to_mend(self) -> list[str]:
        """The worst first; notes are nothing to mend."""
        return [finding["id"] for finding in self.findings if finding["severity"] != "note"]

    def told(self, finding: str) -> str:
        one = self._one(finding)
        return "\n".join([one["title"], *one["details"]])

    def remedy(self, finding: str) -> str:
        return str(self._one(finding)["remedy"])

    def _one(self, finding: str) -> Json:
        [one] = [one for one in self.findings if one["id"] == finding]
        return one


async def doctor(story: Story, *, outside: bool = False) -> Checkup:
    """With the service's own rights, or from ``outside`` with an administrator's."""
    account = f"{story.namespace}:hook-responder"
    kubeconfig = story.running.kubeconfig if outside else None
    findings, reached = await look(Visit(load_settings(story.responder.config), kubeconfig, None, account))
    printed = io.StringIO()
    status = report(findings, reached, as_json=True, stream=printed)
    return Checkup(status, tuple(json.loads(line) for line in printed.getvalue().splitlines()))
