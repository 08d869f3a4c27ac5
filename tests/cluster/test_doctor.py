"""``responder doctor`` in a real cluster: what it says mends what it finds."""

import asyncio
import copy
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import yaml

from responder.shipped import snippet
from tests.cluster.application import Application
from tests.cluster.argocd import NAMESPACE
from tests.cluster.checkup import Checkup, doctor
from tests.cluster.installation import BOUND
from tests.cluster.kubernetes import Json, path, read_manifests
from tests.cluster.manifests import hook
from tests.cluster.story import Story
from tests.service.process import TOKEN

pytestmark = [pytest.mark.real_cluster, pytest.mark.alone, pytest.mark.timeout(120)]  # Argo CD's own config is changed

CONFIG, SECRET = "argocd-notifications-cm", "argocd-notifications-secret"
POLICY = Path(__file__).parents[2] / "deploy/kustomize/components/actuator/admission.yaml"
UNSEEN = "notifications-controller"  # here it is no Pod: it is seen by its mark on an Application that it told of
_PATIENCE = 60.0


class Installed:
    """The responder over a whole cluster, as the README says, up to the notifications."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.receiver = socket.create_server(("127.0.0.1", 0))
        self.pager: tuple[str, int] = self.receiver.getsockname()

    async def begin(self) -> None:
        folder = self.story.installation.folder
        for policy in read_manifests(POLICY):
            await self.story.kubernetes.apply(policy)
        cluster = {"name": "in-cluster", "kubeconfig": str(folder / "kubeconfig"), "context": "tests"}
        await self.story.respond(
            webhooks=False,
            listen={"host": "127.0.0.1", "port": self.story.running.services_port},
            clusters=[cluster],
            argocd={"namespace": NAMESPACE, "application_namespaces": ["*"]},
            receivers=[{"name": "pager", "type": "alertmanager", "urls": [f"http://127.0.0.1:{self.pager[1]}"]}],
            routing={"default": ["pager"]},
            retention={"size": "1MiB"},
        )
        (folder / "webhook-token").write_text(TOKEN, encoding="utf-8")

    async def end(self) -> None:
        """Argo CD's config as it was."""
        self.receiver.close()
        meta = {"labels": {"app.kubernetes.io/part-of": "argocd"}}
        for kind, name in (("ConfigMap", CONFIG), ("Secret", SECRET)):
            await self.story.kubernetes.delete(path("v1", kind, NAMESPACE, name))
            item = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **meta}}
            await self.story.kubernetes.apply(item, NAMESPACE)

    async def do(self, commands: str) -> None:
        """As a person pastes them into a terminal of theirs."""
        running = self.story.running
        places = (Path(sys.executable).parent, running.binaries, os.environ["PATH"])
        environment = {**os.environ, "PATH": ":".join(map(str, places)), "KUBECONFIG": str(running.kubeconfig)}
        process = await asyncio.create_subprocess_exec(
            "sh", "-ec", commands, cwd=self.story.installation.folder, env=environment
        )
        assert await asyncio.wait_for(process.wait(), _PATIENCE) == 0, commands

    async def application(self) -> Application:
        """Argo CD has looked at it."""
        shop = await self.story.application({"hook.yaml": [hook("echo no such table; exit 1")]})
        where = path("argoproj.io/v1alpha1", "Application", self.story.namespace, shop.name)
        await self.story.kubernetes.until(where, lambda app: app.get("status", {}).get("reconciledAt"))
        return shop

    async def until_webhook(self, result: str) -> None:
        wanted = f'responder_webhooks_total{{result="{result}"}} '
        async with asyncio.timeout(_PATIENCE):
            while True:
                async with self.story.responder.http.get(f"{self.story.responder.url}/metrics") as answer:
                    [line] = [one for one in (await answer.text()).splitlines() if one.startswith(wanted)]
                if float(line.removeprefix(wanted)):
                    return
                await asyncio.sleep(0.1)


@pytest.fixture
async def installed(story: Story) -> AsyncIterator[Installed]:
    made = Installed(story)
    try:
        await made.begin()
        yield made
    finally:
        await made.end()


async def test_what_it_says_is_missing_is_mended_by_the_very_commands_that_it_prints(
    story: Story, installed: Installed
) -> None:
    shop = await installed.application()
    bare = await doctor(story, outside=True)
    assert (bare.status, bare.to_mend) == (1, ["notifications-config", UNSEEN])

    await installed.do(bare.remedy("notifications-config"))
    half = await doctor(story, outside=True)
    assert half.to_mend == [UNSEEN, "notifications-token-missing"]
    await installed.do(half.remedy("notifications-token-missing"))

    await shop.ended("Failed", started=await shop.sync())
    await installed.until_webhook("accepted")
    for outside in (True, False):
        healthy = await doctor(story, outside=outside)
        assert (healthy.status, healthy.to_mend) == (0, []), healthy.findings
    await installed.do(f"responder doctor --config {story.responder.config}")


@asynccontextmanager
async def instead(story: Story, where: str, change: Callable[[Json], Json | None]) -> AsyncIterator[None]:
    """The object as ``change`` makes it, or not at all; afterwards as it was."""
    found = await story.kubernetes.get(where)
    assert found is not None
    kept = {key: found["metadata"][key] for key in ("name", "namespace", "labels") if key in found["metadata"]}
    before = {**{key: value for key, value in found.items() if key != "status"}, "metadata": kept}
    changed = change(copy.deepcopy(before))
    await story.kubernetes.delete(where)
    if changed is not None:
        await story.kubernetes.apply(changed)
    try:
        yield
    finally:
        await story.kubernetes.delete(where)
        await story.kubernetes.apply(before)


def gone(_: Json) -> None:
    """For ``instead``: nothing."""


def data(**changed: str | None) -> Callable[[Json], Json]:
    """For ``instead``: these keys, ``__`` for a dot and ``_`` for a dash; None takes one out."""
    named = {key.replace("__", ".").replace("_", "-"): value for key, value in changed.items()}

    def change(item: Json) -> Json:
        return {**item, "data": {k: v for k, v in {**item["data"], **named}.items() if v is not None}}

    return change


ONCE = """\
- when: app.status?.operationState?.phase in ['Failed', 'Error']
  oncePer: app.status.sync.revision
  send: [hook-responder-final-failure]"""
STOCK = {  # of Argo CD's catalog
    "trigger__on_sync_failed": "- when: app.status.operationState.phase == 'Failed'\n  send: [app-sync-failed]",
    "template__app_sync_failed": "message: The sync operation of {{.app.metadata.name}} has failed",
    "subscriptions": "- {recipients: [hook-responder], triggers: [hook-responder-final-failure, on-sync-failed]}",
}


LOST = "- {recipients: [hook-responder], triggers: [hook-responder-final-failure, on-sync-lost]}"


def planted(installed: Installed) -> list[tuple[str, str, AbstractAsyncContextManager[None], bool]]:
    """What the doctor must call it, a word of what it must say, the fault, and whether it is looked at from outside."""
    story, argocd = installed.story, NAMESPACE
    us = story.namespace
    reader, actuator = (f"{name}-{us}" for name in BOUND)
    config, token = path("v1", "ConfigMap", argocd, CONFIG), path("v1", "Secret", argocd, SECRET)
    switch = path("v1", "ConfigMap", us, "responder-killswitch")
    rbac = "rbac.authorization.k8s.io/v1"

    def bound(name: str) -> str:
        return path(rbac, "ClusterRoleBinding", name=name)

    return [
        ("rbac-reader", "list, watch jobs.batch in the whole cluster", instead(story, bound(reader), gone), False),
        ("rbac-actuator", "patch applications.argoproj.io", instead(story, bound(actuator), gone), False),
        ("killswitch-absent", "responder-killswitch", instead(story, switch, gone), False),
        ("killswitch-engaged", "engaged", instead(story, switch, data(engaged="true")), False),
        ("notifications-config", CONFIG, instead(story, config, gone), True),
        ("notifications-faulty", "trigger.theirs", instead(story, config, data(trigger__theirs="- when: [")), True),
        (
            "notifications-once-per",
            "trigger.hook-responder-final-failure",
            instead(story, config, data(trigger__hook_responder_final_failure=ONCE)),
            True,
        ),
        ("notifications-text", "on-sync-failed", instead(story, config, data(**STOCK)), True),
        ("notifications-unknown-trigger", "on-sync-lost", instead(story, config, data(subscriptions=LOST)), True),
        ("notifications-token-missing", SECRET, instead(story, token, data(hook_responder_token=None)), True),
        ("retry-endless", f"{us}/shop", endless(story), False),
        ("receiver-unreachable", "pager", silent(installed), False),
        ("secrets", "token: secret cannot be read", missing(installed.story.installation.folder / "token"), False),
    ]


@asynccontextmanager
async def endless(story: Story) -> AsyncIterator[None]:
    where = path("argoproj.io/v1alpha1", "Application", story.namespace, "shop")
    await story.kubernetes.patch(where, {"spec": {"syncPolicy": {"retry": {"limit": -1}}}})
    yield
    await story.kubernetes.patch(where, {"spec": {"syncPolicy": None}})


@asynccontextmanager
async def silent(installed: Installed) -> AsyncIterator[None]:
    installed.receiver.close()
    yield
    installed.receiver = socket.create_server(installed.pager)


@asynccontextmanager
async def missing(file: Path) -> AsyncIterator[None]:
    aside = await asyncio.to_thread(file.rename, file.with_suffix(".aside"))
    yield
    await asyncio.to_thread(aside.rename, file)


async def test_each_fault_that_is_planted_is_found_and_named_and_no_other(story: Story, installed: Installed) -> None:
    shop = await installed.application()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}}
    await story.kubernetes.apply({**secret, "stringData": {"hook-responder-token": TOKEN}}, NAMESPACE)
    await story.kubernetes.apply(yaml.safe_load(snippet("argocd")))
    await shop.ended("Failed", started=await shop.sync())
    await installed.until_webhook("accepted")

    for finding, word, fault, outside in planted(installed):
        async with fault:
            found = await until_found(story, [finding], outside=outside)
            assert word in found.told(finding) + found.remedy(finding)
            assert found.remedy(finding), finding
    await until_found(story, [], outside=False)


async def until_found(story: Story, wanted: list[str], *, outside: bool) -> Checkup:
    """Rights are granted and taken away a moment later than their roles are bound."""
    found = await doctor(story, outside=outside)
    deadline = time.monotonic() + 20
    while found.to_mend != wanted and time.monotonic() < deadline:
        found = await doctor(story, outside=outside)
    assert found.to_mend == wanted, found.findings
    assert found.status == (1 if wanted else 0)
    return found
