import ast
import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from responder.config import KillSwitch, load_settings, parse_size
from responder.core.actions import ActionKind, Annotate, Mode
from responder.core.plan import plan
from responder.core.rules import Rule, RuleAction, Rulebook
from responder.core.rulesfile import parse_rules
from tests.unit.core.deciding import situation
from tests.unit.deploy.manifests import DEPLOY, KUSTOMIZE, Manifest, documents, one, restricted_faults

BASE = KUSTOMIZE / "base"
KUSTOMIZATIONS = sorted(DEPLOY.rglob("kustomization.yaml"))
READ = {"get", "list", "watch"}
ACCOUNT = [{"kind": "ServiceAccount", "name": "hook-responder", "namespace": "hook-responder"}]


@pytest.fixture
def pod() -> Manifest:
    template: Manifest = one(BASE / "deployment.yaml", "Deployment")["spec"]["template"]
    return template


def granted(role: Manifest) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def named_files(kustomization: Path) -> set[Path]:
    content = documents(kustomization)[0]
    generators = content.get("configMapGenerator", []) + content.get("secretGenerator", [])
    names = content.get("resources", []) + content.get("components", []) + [f for g in generators for f in g["files"]]
    return {(kustomization.parent / name).resolve() for name in names}


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_every_file_that_a_kustomization_names_is_there_and_none_is_forgotten(kustomization: Path) -> None:
    named = named_files(kustomization)
    assert [path for path in named if not (path.is_file() or (path / "kustomization.yaml").is_file())] == []
    assert set(kustomization.parent.glob("*.yaml")) - {kustomization} <= named


def test_files_come_from_within_a_kustomization_s_own_folder_as_kustomize_demands() -> None:
    outside = [
        path
        for kustomization in KUSTOMIZATIONS
        for path in named_files(kustomization)
        if path.is_file() and not path.is_relative_to(kustomization.parent)
    ]
    assert outside == []


def test_the_reader_reads_just_this_and_writes_nothing() -> None:
    assert granted(one(BASE / "reader.yaml", "ClusterRole")) == {
        ("argoproj.io", "applications"): READ,
        ("argoproj.io", "appprojects"): READ,
        ("batch", "jobs"): READ,
        ("", "pods"): READ,
        ("", "events"): READ,
        ("db.atlasgo.io", "atlasmigrations"): READ,
        ("db.atlasgo.io", "atlasschemas"): READ,
        ("", "pods/log"): {"get"},
    }


def test_of_all_configmaps_only_the_kill_switch_is_read() -> None:
    (rule,) = one(BASE / "reader.yaml", "Role")["rules"]
    assert rule == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["responder-killswitch"],
        "verbs": ["get"],
    }


def test_the_base_writes_nothing_but_its_own_lease() -> None:
    roles = [d for path in BASE.glob("*.yaml") for d in documents(path) if d.get("kind") in ("Role", "ClusterRole")]
    writers = {
        (role["kind"], resource): verbs - READ
        for role in roles
        for (_, resource), verbs in granted(role).items()
        if verbs - READ
    }
    assert writers == {("Role", "leases"): {"create", "update"}}


def test_the_actuator_may_patch_applications_and_delete_jobs_and_nothing_else() -> None:
    role = one(KUSTOMIZE / "components/actuator/actuator.yaml", "ClusterRole")
    assert granted(role) == {("argoproj.io", "applications"): {"patch"}, ("batch", "jobs"): {"delete"}}


def test_every_binding_binds_a_role_that_is_there_to_our_account() -> None:
    files = [*BASE.glob("*.yaml"), KUSTOMIZE / "components/actuator/actuator.yaml"]
    everything = [d for path in files for d in documents(path) if "metadata" in d]
    roles = {(d["kind"], d["metadata"]["name"]) for d in everything if d["kind"].endswith("Role")}
    bindings = [d for d in everything if d["kind"].endswith("Binding")]
    assert {(b["roleRef"]["kind"], b["roleRef"]["name"]) for b in bindings} == roles
    assert all(b["subjects"] == ACCOUNT for b in bindings)


def test_the_admission_policies_concern_our_account_and_refuse_when_they_cannot_be_asked() -> None:
    """What they let pass is asked of a real API server: tests/cluster/test_admission.py."""
    file = KUSTOMIZE / "components/actuator/admission.yaml"
    policies = [d for d in documents(file) if d["kind"] == "ValidatingAdmissionPolicy"]
    bindings = {d["metadata"]["name"]: d["spec"] for d in documents(file) if d["kind"].endswith("Binding")}
    (account,) = ACCOUNT
    name = f"system:serviceaccount:{account['namespace']}:{account['name']}"
    for policy in policies:
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert [c["expression"] for c in policy["spec"]["matchConditions"]] == [
            f'request.userInfo.username == "{name}"'
        ]
        assert bindings.pop(policy["metadata"]["name"]) == {
            "policyName": policy["metadata"]["name"],
            "validationActions": ["Deny"],
        }
    assert bindings == {}


def test_every_kind_that_the_actuator_may_write_has_its_policy() -> None:
    role = granted(one(KUSTOMIZE / "components/actuator/actuator.yaml", "ClusterRole"))
    policies = [
        d for d in documents(KUSTOMIZE / "components/actuator/admission.yaml") if "matchConstraints" in d["spec"]
    ]
    policed = {
        (group, rule["resources"][0])
        for policy in policies
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        for group in rule["apiGroups"]
    }
    assert policed == set(role)


def test_the_marks_that_pass_are_those_that_are_written() -> None:
    """``annotate`` as it is planned, against the list in the policy."""
    policy = one(
        KUSTOMIZE / "components/actuator/admission.yaml", "ValidatingAdmissionPolicy", "hook-responder-applications"
    )
    (marks,) = [v["expression"] for v in policy["spec"]["variables"] if v["name"] == "marks"]
    rule = Rule("mark", (), (RuleAction(ActionKind.ANNOTATE),), Mode.LIVE, budget=2, cooldown=120.0)
    planned = plan(situation(rulebook=Rulebook((rule,), Mode.LIVE)))
    (act,) = planned.acts
    assert isinstance(act, Annotate)
    assert set(ast.literal_eval(marks)) == set(act.annotations)


def test_selectors_select(pod: Manifest) -> None:
    labels = pod["metadata"]["labels"].items()
    service = one(BASE / "service.yaml", "Service")
    monitor = one(KUSTOMIZE / "components/monitoring/servicemonitor.yaml", "ServiceMonitor")
    deployment = one(BASE / "deployment.yaml", "Deployment")
    policy = one(BASE / "networkpolicy.yaml", "NetworkPolicy")
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
    assert service["spec"]["selector"].items() <= labels
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]
    assert pod["spec"]["containers"][0]["ports"] == [{"name": "http", "containerPort": 8080}]
    assert monitor["spec"]["endpoints"][0]["port"] == "http"


def test_one_replica_never_two_on_one_sqlite_file() -> None:
    spec = one(BASE / "deployment.yaml", "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_the_pod_meets_the_restricted_standard_and_its_namespace_enforces_it(pod: Manifest) -> None:
    assert restricted_faults(pod["spec"]) == []
    assert pod["spec"]["securityContext"]["runAsUser"] == 65532
    labels = one(BASE / "namespace.yaml", "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("breaking", "fault"),
    [
        (lambda p: p.update(hostNetwork=True), "hostNetwork is set"),
        (lambda p: p["securityContext"].pop("runAsNonRoot"), "responder: runAsNonRoot"),
        (lambda p: p["securityContext"].update(runAsUser=0), "responder: runAsUser"),
        (lambda p: p["securityContext"].pop("seccompProfile"), "responder: seccompProfile"),
        (lambda p: p["containers"][0]["securityContext"].pop("capabilities"), "responder: capabilities"),
        (lambda p: p["volumes"].append({"name": "host", "hostPath": {"path": "/"}}), "volume host"),
        (lambda p: p["containers"].append({"name": "more"}), "more: readOnlyRootFilesystem"),
    ],
)
def test_the_standard_is_really_checked(pod: Manifest, breaking: Callable[[Any], object], fault: str) -> None:
    broken = copy.deepcopy(pod["spec"])
    breaking(broken)
    assert fault in restricted_faults(broken)


def test_probes_ask_liveness_and_readiness_apart(pod: Manifest) -> None:
    container = pod["spec"]["containers"][0]
    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert pod["spec"]["terminationGracePeriodSeconds"] > 20  # SIGTERM drains within 20 s


def test_the_one_replica_is_reached_while_it_is_not_ready() -> None:
    """With the API server away webhooks are kept, pages shown, and the gate says pending."""
    assert one(BASE / "service.yaml", "Service")["spec"]["publishNotReadyAddresses"] is True
    assert one(BASE / "deployment.yaml", "Deployment")["spec"]["replicas"] == 1


def test_configuration_and_rules_are_valid() -> None:
    settings = load_settings(BASE / "responder.yaml")
    rules = BASE / "rules.yaml"
    book = parse_rules(rules.read_text(encoding="utf-8"), str(rules), frozenset(r.name for r in settings.receivers))
    assert [rule.name for rule in book.rules] == [
        "something was left behind",
        "the database was away",
        "everything else",
    ]
    assert settings.actions.mode == book.mode == "shadow"


def test_the_configuration_finds_what_the_pod_mounts(pod: Manifest) -> None:
    settings = load_settings(BASE / "responder.yaml")
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    secrets = [*settings.webhook.token_files, *(token.token_file for token in settings.access.static_tokens)]
    assert settings.redaction.key_file is not None
    assert {str(path.parent) for path in [*secrets, settings.redaction.key_file]} == {mounts["tokens"]}
    assert settings.rules == BASE / "rules.yaml"  # beside it here, and in the ConfigMap that is mounted as one folder
    config = next(volume for volume in pod["spec"]["volumes"] if volume["name"] == "config")
    mounted = {source["configMap"]["name"] for source in config["projected"]["sources"]}
    assert mounted == {made["name"] for made in documents(BASE / "kustomization.yaml")[0]["configMapGenerator"]}
    assert settings.store.url == f"sqlite://{mounts['store']}/responder.db"
    assert pod["spec"]["containers"][0]["args"] == ["serve", "--config", f"{mounts['config']}/responder.yaml"]
    assert mounts.keys() == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_a_change_of_the_configuration_rolls_the_pod_and_a_change_of_the_rules_does_not() -> None:
    generators = documents(BASE / "kustomization.yaml")[0]["configMapGenerator"]
    unhashed = {g["name"]: g["options"].get("disableNameSuffixHash", False) for g in generators}
    assert unhashed == {"hook-responder-config": False, "hook-responder-rules": True}


def test_the_secret_s_keys_are_those_that_the_instructions_make() -> None:
    settings = load_settings(BASE / "responder.yaml")
    monitor = one(KUSTOMIZE / "components/monitoring/servicemonitor.yaml", "ServiceMonitor")
    made = set(re.findall(r"--from-file=([a-z-]+)", (BASE / "kustomization.yaml").read_text(encoding="utf-8")))
    assert settings.redaction.key_file is not None
    used = {path.name for path in settings.webhook.token_files}
    used |= {token.token_file.name for token in settings.access.static_tokens} | {settings.redaction.key_file.name}
    assert made == used
    assert monitor["spec"]["endpoints"][0]["authorization"]["credentials"]["key"] in made


def test_the_store_is_swept_before_the_volume_is_full() -> None:
    volume = one(BASE / "volume.yaml", "PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"]
    assert load_settings(BASE / "responder.yaml").retention.size < parse_size(volume + "B")  # type: ignore[operator] # a size


def test_the_kill_switch_ships_without_data_so_that_no_apply_ever_releases_it() -> None:
    switch = one(BASE / "killswitch.yaml", "ConfigMap")
    assert "data" not in switch
    assert switch["metadata"]["name"] == load_settings(BASE / "responder.yaml").killswitch.name == KillSwitch().name


def test_no_secret_and_no_wildcard_stands_in_any_manifest() -> None:
    everything = [d for path in DEPLOY.rglob("*.yaml") for d in documents(path)]
    assert [d for d in everything if d.get("kind") == "Secret"] == []
    rules = [rule for d in everything if str(d.get("kind")).endswith("Role") for rule in d["rules"]]
    words = {word for rule in rules for key in ("apiGroups", "resources", "verbs") for word in rule[key]}
    assert "*" not in words
    assert "secrets" not in words


def test_the_operator_s_copy_of_the_prometheus_rules_is_the_same() -> None:
    copied = one(KUSTOMIZE / "components/monitoring/prometheusrule.yaml", "PrometheusRule")
    assert copied["spec"] == yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text(encoding="utf-8"))
