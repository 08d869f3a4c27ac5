"""What people type at night is about what was installed: names, mounted files, the patch that makes the Pod sleep."""

import json
import re
import shlex

from responder.demo.patches import json_patch, merge_patch
from tests.unit.deploy.manifests import DEPLOY, KUSTOMIZE, ROOT, Manifest, documents, one

PAGES = [
    ROOT / "README.md",
    DEPLOY / "OPERATING.md",
    DEPLOY / "prometheus" / "runbooks.md",
    ROOT / "config" / "RULES.md",
]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
DEPLOYMENT = one(KUSTOMIZE / "base" / "deployment.yaml", "Deployment")
SHORT = {"deploy": "deployment", "svc": "service"}


def patches(place: str) -> list[str]:
    """What stands behind -p for it, over all its lines."""
    return [shlex.split(found)[-1] for found in re.findall(rf"kubectl -n {place} --type \w+ -p '[^']*'", TEXT)]


def installed() -> set[str]:
    found = [item for path in KUSTOMIZE.rglob("*.yaml") for item in documents(path) if "metadata" in item]
    return {f"{item['kind'].lower()}/{item['metadata']['name']}" for item in found}


def test_every_object_of_ours_that_is_named_is_installed() -> None:
    ours = [line for line in TEXT.splitlines() if "kubectl" in line and not re.search(" -n argocd | -k ", line)]
    named = re.findall(r"\b(configmap|clusterrolebinding|deploy(?:ment)?|service|svc)[ /]([\w-]+)", "\n".join(ours))
    assert len(set(named)) > 5
    assert {f"{SHORT.get(kind, kind)}/{name}" for kind, name in named} - installed() == set()


def test_every_file_in_the_pod_is_mounted() -> None:
    (container,) = DEPLOYMENT["spec"]["template"]["spec"]["containers"]
    mounted = tuple(f"{mount['mountPath']}/" for mount in container["volumeMounts"])
    named = re.findall(r"(?<![\w.>/])/(?:etc|run|var)/[\w$./-]+", TEXT)
    assert len(named) > 5
    assert [file for file in named if not file.startswith(mounted)] == []


def test_the_kill_switch_is_patched_with_words_that_it_knows() -> None:
    switch = one(KUSTOMIZE / "base" / "killswitch.yaml", "ConfigMap")
    words = patches("hook-responder patch configmap responder-killswitch")
    written = [merge_patch(switch, json.loads(word))["data"] for word in words]
    assert {"engaged": "true"} in written
    assert [data for data in written if data not in ({"engaged": "true"}, {"engaged": "false"})] == []


def test_the_pod_sleeps_while_its_store_is_replaced() -> None:
    (patch,) = patches("hook-responder patch deployment hook-responder")
    asleep: Manifest = json_patch(DEPLOYMENT, json.loads(patch))
    (container,) = asleep["spec"]["template"]["spec"]["containers"]
    assert (container["command"], container["args"]) == (["sleep"], ["infinity"])
    assert [key for key in container if key.endswith("Probe")] == []
    assert DEPLOYMENT["spec"]["strategy"] == {"type": "Recreate"}
