"""Weak points of hooks: each rule on the smallest Job that breaks it, and on one that does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.hooks import HookRun
from responder.core.hookshape import shape_of_manifest, shape_of_run
from responder.core.lint import Context, lint
from responder.core.lintrules import RULES
from tests.unit.core.night import container, job, pod

HOOK = "argocd.argoproj.io/hook"
POLICY = "argocd.argoproj.io/hook-delete-policy"
WAVE = "argocd.argoproj.io/sync-wave"


def manifest(command: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    """A hook that is as it should be, with changes: a whole key of the Job, its spec, Pod, container or annotations."""
    annotations = {HOOK: "PreSync", POLICY: "BeforeHookCreation", **changes.pop("annotations", {})}
    box = {
        "name": "migrate",
        "image": "registry.example.com/shop:1.42.0",
        "command": ["alembic", "upgrade", "head"] if command is None else command,
        **changes.pop("box", {}),
    }
    inside = {"restartPolicy": "Never", "containers": [box], **changes.pop("inside", {})}
    template = {"metadata": changes.pop("marks", {}), "spec": inside}
    spec = {"backoffLimit": 0, "activeDeadlineSeconds": 900, "template": template, **changes.pop("spec", {})}
    meta = {"name": "db-migrate", "annotations": {k: v for k, v in annotations.items() if v is not None}}
    meta |= changes.pop("meta", {})
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec, **changes}


def broken(told: Any, *beside: Any, **context: Any) -> set[str]:
    shapes = [shape for shape in map(shape_of_manifest, (told, *beside)) if shape is not None]
    return {f.rule for f in lint(shapes[0], Context(objects=shapes, **context), RULES)}


def secret(**annotations: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "annotations": annotations}}


def sh(script: str, *flags: str) -> list[str]:
    return ["bash", *flags, "-c", script]


BREAKS: dict[str, list[dict[str, Any]]] = {
    "no-deadline": [manifest(spec={"activeDeadlineSeconds": None})],
    "restart-on-failure": [manifest(inside={"restartPolicy": "OnFailure"})],
    "hook-failed-policy": [manifest(annotations={POLICY: "HookSucceeded,HookFailed"})],
    "short-ttl": [manifest(spec={"ttlSecondsAfterFinished": 0}), manifest(spec={"ttlSecondsAfterFinished": 60})],
    "mutable-tag": [
        manifest(box={"image": "shop"}),
        manifest(box={"image": "registry.example.com:5000/shop:latest"}),
        manifest(box={"image": "registry.example.com:5000/shop"}),
    ],
    "generate-name-piles-up": [manifest(meta={"name": None, "generateName": "db-"})],
    "no-hook": [manifest(annotations={HOOK: None})],
    "replace-without-force": [
        manifest(annotations={HOOK: None, "argocd.argoproj.io/sync-options": "Replace=true"}),
    ],
    "several-pods": [manifest(spec={"parallelism": 2}), manifest(spec={"completions": 3})],
    "suspended": [manifest(spec={"suspend": True}), manifest(spec={"parallelism": 0})],
    "sidecar": [
        manifest(marks={"annotations": {"sidecar.istio.io/inject": "true"}}),
        manifest(marks={"labels": {"sidecar.istio.io/inject": "true"}}),
        manifest(marks={"annotations": {"linkerd.io/inject": "enabled"}}),
        manifest(inside={"containers": [{"name": "migrate"}, {"name": "cloud-sql-proxy"}]}),
    ],
    "change-of-hook-alone": [manifest(annotations={HOOK: "PostSync"})],
    "exit-code-hidden": [
        manifest(sh("python3 manage.py migrate\npython3 manage.py loaddata fixtures/*.yaml")),
        manifest(sh("alembic upgrade head; ./seed")),
        manifest(sh("alembic upgrade head || true", "-e")),
        manifest(sh("set -e\nalembic upgrade head || exit 0")),
        manifest(sh("alembic upgrade head | tee /tmp/log")),
        manifest(["sh", "-ec", "alembic upgrade head | tee /tmp/log"]),
    ],
    "asks": [
        manifest(["php", "artisan", "migrate"]),
        manifest(["sh", "-c", "php artisan migrate --seed && php artisan cache:clear"]),
    ],
    "destroys-data": [
        manifest(["php", "artisan", "migrate:fresh", "--force"]),
        manifest(["flyway", "clean", "migrate"]),
        manifest(["bundle", "exec", "rails", "db:reset"]),
        manifest(["npx", "prisma", "migrate", "reset", "--force"]),
        manifest(["sea-orm-cli", "migrate", "-v", "fresh"]),
    ],
    "development-command": [manifest(["npx", "prisma", "migrate", "dev"]), manifest(["drizzle-kit", "push"])],
    "runs-again": [manifest(spec={"backoffLimit": None}), manifest(spec={"backoffLimit": 3})],
    "no-lock-timeout": [
        manifest(["migrate", "-path", "m", "-database", "postgres://db/shop", "up"]),
        manifest(box={"env": [{"name": "URL", "value": "postgresql://db/shop"}]}),
    ],
    "psql-goes-on": [manifest(["psql", "-h", "db", "-f", "up.sql"]), manifest(sh("psql --file=up.sql"))],
    "password-in-manifest": [
        manifest(box={"env": [{"name": "URL", "value": "mysql://shop:hunter2@db/shop"}]}),
        manifest(["migrate", "-database", "postgres://shop:hunter2@db/shop", "up"]),
    ],
    "unknown-hook": [
        manifest(annotations={HOOK: "Presync"}),
        manifest(annotations={HOOK: None, "helm.sh/hook": "test"}),
    ],
    "unknown-delete-policy": [manifest(annotations={POLICY: "BeforeHookCreated"})],
    "no-meaning": [manifest(annotations={"argocd.argoproj.io/job-cleanup": "keep"})],
}  # fmt: skip
CASES = [(rule, n, told) for rule, several in BREAKS.items() for n, told in enumerate(several)]

FINE = {
    "as it should be": manifest(),
    "a digest": manifest(box={"image": "shop@sha256:0123456789abcdef"}),
    "two commands, the first one's failure ends it": manifest(sh("python manage.py migrate && ./seed")),
    "set -e": manifest(sh("set -euo pipefail\nalembic upgrade head | tee /tmp/log")),
    "a wait before it": manifest(sh("set -e\nuntil pg_isready; do sleep 1; done\nalembic upgrade head")),
    "echo before it": manifest(sh("echo migrating; exec alembic upgrade head")),
    "a clean-up that may fail": manifest(sh("set -e\nrm /tmp/lock || true\nalembic upgrade head")),
    "a here-document": manifest(sh("cat <<EOF > /tmp/x\nselect 1;\nselect 2;\nEOF\n"), annotations={
        "hook-responder.io/lint-ignore": "retried"}),
    "an environment that does not ask": manifest(
        ["php", "artisan", "migrate"], box={"env": [{"name": "APP_ENV", "value": "staging"}]}
    ),
    "a quoted separator": manifest(sh("exec alembic -x 'a;b' upgrade head")),
    "--force": manifest(["php", "artisan", "migrate", "--force"]),
    "a lock timeout": manifest(
        ["migrate", "-path", "m", "-database", "postgres://db/shop?options=-c%20lock_timeout=5s", "up"]
    ),
    "psql that stops": manifest(["psql", "-v", "ON_ERROR_STOP=1", "-f", "up.sql"], annotations={
        "hook-responder.io/lint-ignore": "no-lock-timeout"}),
    "a password from the environment": manifest(["migrate", "-database", "mysql://shop:$(PASSWORD)@db/shop", "up"]),
    "a native sidecar": manifest(
        inside={"initContainers": [{"name": "cloud-sql-proxy", "image": "proxy:2.11", "restartPolicy": "Always"}]}
    ),
    "injection off": manifest(marks={"annotations": {"sidecar.istio.io/inject": "false"}}),
    "generated and deleted": manifest(
        meta={"name": None, "generateName": "db-"}, annotations={POLICY: "HookSucceeded"}
    ),
    "kept for an hour": manifest(spec={"ttlSecondsAfterFinished": 3600}),
    "Helm's words": manifest(
        annotations={HOOK: None, POLICY: None, "helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-weight": "-5",
                     "helm.sh/hook-delete-policy": "before-hook-creation"}
    ),
    "switched off": manifest(spec={"activeDeadlineSeconds": None, "backoffLimit": 2}, annotations={
        "hook-responder.io/lint-ignore": "no-deadline, runs-again"}),
    "a Job that is skipped": manifest(annotations={HOOK: "Skip"}),
    "a Deployment": {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": {"template": {
        "spec": {"containers": [{"name": "api", "image": "shop:latest"}]}}}},
}  # fmt: skip


@pytest.mark.parametrize(("rule", "number", "told"), CASES, ids=[f"{rule} {n}" for rule, n, _ in CASES])
def test_a_rule_finds_what_breaks_it(rule: str, number: int, told: dict[str, Any]) -> None:
    assert rule in broken(told), number


@pytest.mark.parametrize("name", FINE)
def test_what_is_as_it_should_be_has_no_findings(name: str) -> None:
    assert broken(FINE[name]) == set()


def test_every_rule_has_a_case_a_source_and_says_what_to_write_instead() -> None:
    beside = {"needed-later", "shared-and-deleted", "migrates-at-start", "retried", "generate-name-kustomize"}
    assert {rule.id for rule in RULES} == set(BREAKS) | beside
    assert all(rule.source.startswith("https://") and rule.instead and rule.why.endswith(".") for rule in RULES)


def test_kustomize_refuses_a_generated_name() -> None:
    assert broken(manifest(meta={"name": None, "generateName": "db-"}), kustomized=True) == {"generate-name-kustomize"}


def test_a_retry_of_the_application_is_told_where_running_twice_is_not_known_to_be_harmless() -> None:
    seeding = manifest(sh("set -e; alembic upgrade head; ./seed"))

    assert broken(seeding, retry_limit=5) == {"retried"}
    assert broken(seeding, retry_limit=0) == set()
    assert broken(manifest(), retry_limit=5) == set()
    assert broken(manifest(sh("./seed"), annotations={"hook-responder.io/idempotent": "true"}), retry_limit=5) == set()


USES_A_SECRET = [
    manifest(box={"envFrom": [{"secretRef": {"name": "db"}}]}),
    manifest(box={"env": [{"name": "URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}]}),
    manifest(inside={"volumes": [{"name": "v", "secret": {"secretName": "db"}}]}),
    manifest(inside={"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "db"}}]}}]}),
]


@pytest.mark.parametrize("told", USES_A_SECRET, ids=["envFrom", "env", "volume", "projected"])
def test_a_secret_of_a_later_phase_is_the_classic_mistake(told: dict[str, Any]) -> None:
    assert broken(told, secret()) == {"needed-later"}
    assert broken(told, secret(**{HOOK: "PreSync", WAVE: "1"})) == {"needed-later"}
    assert broken(told, secret(**{HOOK: "PreSync", WAVE: "-1"})) == set()
    assert broken(told, secret(**{HOOK: "PreSync"})) == set()
    assert broken(told) == set()


def test_what_is_optional_or_of_another_namespace_is_not_waited_for() -> None:
    optional = manifest(box={"envFrom": [{"secretRef": {"name": "db", "optional": True}}]})
    elsewhere = secret()
    elsewhere["metadata"]["namespace"] = "other"

    assert broken(optional, secret()) == set()
    assert broken(
        manifest(box={"envFrom": [{"secretRef": {"name": "db"}}]}, meta={"namespace": "shop"}), elsewhere
    ) == (set())


def test_a_hook_secret_that_the_application_lives_on_is_taken_away() -> None:
    api = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": {"template": {"spec": {
        "containers": [{"name": "api", "envFrom": [{"secretRef": {"name": "db"}}]}]}}}}  # fmt: skip
    shared = secret(**{HOOK: "PreSync", POLICY: "HookSucceeded"})

    assert broken(shared, api) == {"shared-and-deleted"}
    assert broken(shared, manifest(box={"envFrom": [{"secretRef": {"name": "db"}}]})) == set()


def test_migrations_at_the_applications_start_race() -> None:
    api = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": {"template": {"spec": {
        "initContainers": [{"name": "m", "command": ["alembic", "upgrade", "head"]}]}}}}  # fmt: skip
    assert broken(api) == {"migrates-at-start"}


def seen(run: HookRun) -> set[str]:
    return {f.rule for f in lint(shape_of_run(run), Context(), RULES)}


def test_a_job_seen_in_the_cluster_is_judged_by_what_was_kept_of_it() -> None:
    weak = job(
        delete_policies=("HookFailed",),
        restart_policy="OnFailure",
        ttl_seconds=10,
        pods=(pod(container(command=("php", "artisan", "migrate"), image="shop:latest")),),
    )
    sound = job(
        deadline_seconds=900,
        backoff_limit=0,
        pods=(pod(container(command=("alembic", "upgrade", "head"), image="shop:1.2.3")),),
    )

    assert seen(weak) == {
        *("hook-failed-policy", "restart-on-failure", "short-ttl", "no-deadline", "runs-again", "asks", "mutable-tag"),
    }
    assert seen(sound) == set()


@pytest.mark.parametrize(("text", "wave"), [("-5", -5), ("+2", 2), ("²", 0), ("9" * 5000, 0), ("1.5", 0), ("", 0)])
def test_a_wave_is_a_number_as_argo_cd_reads_one(text: str, wave: int) -> None:
    shape = shape_of_manifest(manifest(annotations={WAVE: text}))
    assert shape is not None
    assert shape.wave == wave


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@given(
    JSON, st.sampled_from(["metadata", "spec", "template", "containers", "env", "annotations", "volumes", "command"])
)
def test_no_manifest_makes_it_raise(value: Any, key: str) -> None:
    told = manifest()
    inside = told["spec"]["template"]["spec"]
    inside["containers"][0][key] = value
    inside[key] = value
    broken(told, {"apiVersion": "v1", "kind": "Secret", key: value})
    broken({"apiVersion": "batch/v1", "kind": "Job", key: value})
