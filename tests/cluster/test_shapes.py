"""Hooks as people write them: each shape fails, is seen, is mended, and runs to a good end."""

import pytest

from tests.cluster.kubernetes import Json, path
from tests.cluster.manifests import config_map, hook, secret
from tests.cluster.shown import containers, ended, gaps, hooks, phases, resolved
from tests.cluster.story import Story, diagnosed

pytestmark = pytest.mark.real_cluster

NO_SUCH_TABLE = 'psql:/migrations/7.sql:3: ERROR:  relation "order_items" does not exist'
MIGRATES, FAILS = "echo migrated; sleep 1", f"echo '{NO_SUCH_TABLE}' >&2; exit 3"

HALF_APPLIED = """\
echo 'Migrating: 2026_10_03_101500_invoices_and_unique_email'
cat <<'END'

   Illuminate\\Database\\QueryException

  SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'ana@example.org' for key \
'uq_customers_email' (SQL: alter table `customers` add unique `uq_customers_email`(`email`))

END
exit 1"""
LARAVEL_MIGRATES = "echo 'Migrating: 2026_10_03_101500_invoices_and_unique_email'; sleep 1"

MANAGE = """\
test -f /app/settings_prod.py && grep -q tulip /app/settings_prod.py || exit 9
case "$2 $MIGRATION" in
"migrate broken")
  echo 'Operations to perform:'
  echo '  Apply all migrations: auth, contenttypes, shop'
  echo 'Running migrations:'
  echo '  Applying shop.0003_add_currency...Traceback (most recent call last):'
  echo 'psycopg.errors.SyntaxError: syntax error at or near "varchar"'
  echo 'LINE 1: ALTER TABLE orders ADD COLUM currency varchar(3)'
  exit 1 ;;
"loaddata broken")
  echo 'django.db.utils.ProgrammingError: Problem installing fixture /app/fixtures/currencies.yaml: Could not load'\\
    'shop.Order(pk=1): column "currency" of relation "orders" does not exist'
  exit 1 ;;
*) echo "$2: done" ;;
esac"""

BUNDLE = """\
echo "== 20261003101500 AddDiscount: migrating =="
if [ "$SKIP_POST_DEPLOYMENT_MIGRATIONS" = true ] || [ "$MIGRATION" = good ]; then exit 0; fi
cat >&2 <<'END'
rails aborted!
StandardError: An error has occurred, this and all later migrations canceled:

PG::UndefinedTable: ERROR:  relation "order_items" does not exist
/app/db/post_migrate/20261003101500_add_discount.rb:3:in `up'
Tasks: TOP => db:migrate
END
exit 1"""


async def test_laravel_whose_generated_jobs_pile_up(story: Story) -> None:
    await story.respond()
    laravel = hook(
        "",
        generate_name="my-app-migration-",
        annotations={"argocd.argoproj.io/job-cleanup": "keep"},
        container={"image": await story.image(php=HALF_APPLIED), "command": ["php", "artisan", "migrate"]},
    )
    shop = await story.application({"migration.yaml": [laravel], "settings.yaml": [config_map(colour="blue")]})
    await shop.ended("Failed", started=await shop.sync())

    incident = await story.incident(ended("constraint-violation", "Failed"))
    [migration] = hooks(incident)
    assert migration["name"].startswith("my-app-migration-")
    assert (migration["sync_phase"], migration["hook_phase"]) == ("PreSync", "Failed")
    cause = incident["diagnosis"]
    assert (cause["category"], cause["tool"], cause["state_left"], cause["retry"]) == (
        "constraint-violation",
        "laravel",
        "partial",
        "unsafe",
    )
    assert "ana@example.org" not in str(incident)
    assert {finding["rule"] for finding in incident["findings"]} >= {"asks", "generate-name-piles-up"}

    await story.image(php=LARAVEL_MIGRATES)
    await shop.mend({})

    mended = await story.incident(resolved)
    assert len({one["name"] for one in hooks(mended)}) == 2
    await story.until_jobs(2)


@pytest.mark.parametrize("policy", ["BeforeHookCreation", "HookFailed", "HookSucceeded,HookFailed"])
async def test_db_migration_whatever_deletes_it(story: Story, policy: str) -> None:
    await story.respond()
    shop = await story.application({"migration.yaml": [hook(FAILS, name="db-migration", policy=policy)]})
    await shop.ended("Failed", started=await shop.sync())

    incident = await story.incident(ended("missing-object", "Failed"))
    [ran] = containers(incident)
    assert (ran["exit_code"], ran["log"]["lines"], ran["log"]["complete"]) == (3, 1, True)
    assert await story.log(ran) == [NO_SUCH_TABLE]
    assert gaps(incident) == set()
    await story.until_jobs(1 if policy == "BeforeHookCreation" else 0)

    await shop.mend({"migration.yaml": [hook(MIGRATES, name="db-migration", policy=policy)]})
    await story.incident(resolved)


async def test_db_migration_that_only_success_deletes_answers_for_the_next_sync(story: Story) -> None:
    await story.respond()
    shop = await story.application(
        {"migration.yaml": [hook(FAILS, name="db-migration", policy="HookSucceeded", backoffLimit=1)]}
    )
    await shop.ended("Failed", started=await shop.sync())
    await story.incident(ended("missing-object", "Failed"))
    await shop.ended("Failed", started=await shop.sync())

    stale = await story.incident(ended("missing-object", "Failed", "Failed"))
    first, second = hooks(stale)
    assert len(first["pods"]) == 2  # the Job controller tried it twice
    assert (first["uid"], first["stale"], second["stale"]) == (second["uid"], False, True)

    await shop.push({"migration.yaml": [hook(MIGRATES, name="db-migration", policy="HookSucceeded", backoffLimit=1)]})
    await shop.ended("Failed", started=await shop.sync())

    immutable = await story.incident(ended("missing-object", "Failed", "Failed", "Failed"))
    assert "field is immutable" in immutable["operations"][2]["message"]

    await story.kubernetes.delete(path("batch/v1", "Job", story.namespace, "db-migration"))
    await shop.mend({})
    await story.incident(resolved)
    await story.until_jobs(0)


NEEDS_SECRET = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
SAYS_SECRET = 'echo "it has $(echo -n "$PASSWORD" | wc -c) characters"; sleep 1'


async def test_the_secret_is_a_hook_that_comes_first(story: Story) -> None:
    await story.respond()
    first = {"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/sync-wave": "-1"}
    shop = await story.application(
        {
            "migration.yaml": [hook(f"{SAYS_SECRET}; {FAILS}", env=NEEDS_SECRET)],
            "secret.yaml": [secret("db", annotations=first, password="sw0rdfish")],
        }
    )
    await shop.ended("Failed", started=await shop.sync())
    [ran] = containers(await story.incident(ended("missing-object", "Failed")))
    assert await story.log(ran) == ["it has 9 characters", NO_SUCH_TABLE]

    await shop.mend({"migration.yaml": [hook(SAYS_SECRET, env=NEEDS_SECRET)]})
    await story.incident(resolved)


async def test_the_secret_that_another_application_deletes_by_its_policy(story: Story) -> None:
    """It shares the Secret of a hook, and that hook's success takes the Secret away."""
    await story.respond(recorder={"stuck_after": "4s"})
    passing = {
        "argocd.argoproj.io/hook": "PreSync",
        "argocd.argoproj.io/sync-wave": "-1",
        "argocd.argoproj.io/hook-delete-policy": "HookSucceeded",
    }
    shop = await story.application(
        {
            "migration.yaml": [hook(SAYS_SECRET, env=NEEDS_SECRET)],
            "secret.yaml": [secret("db", annotations=passing, password="sw0rdfish")],
        }
    )
    await shop.ended("Succeeded", started=await shop.sync())
    await story.kubernetes.until_gone(path("v1", "Secret", story.namespace, "db"))  # a moment after it says Succeeded

    reports = await story.application(
        {"report.yaml": [hook(SAYS_SECRET, name="report", env=NEEDS_SECRET)]}, name="reports"
    )
    started = await reports.sync()

    stuck = await story.incident(diagnosed("missing-reference"))
    assert (stuck["application"]["name"], phases(stuck)) == ("reports", ["Running"])
    assert 'secret "db" not found' in stuck["diagnosis"]["key_line"]

    await story.kubernetes.apply(secret("db", password="sw0rdfish"), story.namespace)
    await reports.ended("Succeeded", started=started)
    await story.incident(resolved)


async def test_hooks_of_a_chart(story: Story) -> None:
    """As its rendered templates stand in a repository: both come before the sync, in the order of their weights."""
    await story.respond()

    def chart(upgrade: str) -> list[Json]:
        return [
            _helm(hook(MIGRATES, name="install"), "pre-install", "-5"),
            _helm(hook(upgrade, name="upgrade"), "pre-install,pre-upgrade", "5"),
        ]

    shop = await story.application({"hooks.yaml": chart(FAILS), "settings.yaml": [config_map(colour="blue")]})
    await shop.ended("Failed", started=await shop.sync())
    incident = await story.incident(ended("missing-object", "Failed"))
    assert [(one["name"], one["sync_phase"], one["hook_phase"]) for one in hooks(incident)] == [
        ("install", "PreSync", "Succeeded"),
        ("upgrade", "PreSync", "Failed"),
    ]

    await shop.mend({"hooks.yaml": chart(MIGRATES)})
    await story.incident(resolved)


def _helm(job: Json, kinds: str, weight: str) -> Json:
    marks = {"helm.sh/hook": kinds, "helm.sh/hook-weight": weight, "helm.sh/hook-delete-policy": "before-hook-creation"}
    return {**job, "metadata": {**job["metadata"], "annotations": marks}}


async def test_django_with_its_settings_from_a_secret_and_two_commands_in_one_shell(story: Story) -> None:
    await story.respond()
    settings = secret(
        "settings",
        annotations={"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/sync-wave": "-1"},
        **{"settings_prod.py": "SECRET_KEY = 'tulip'\n"},
    )
    image = await story.image(python3=MANAGE)

    def migration(state: str) -> Json:
        job = hook(
            "",
            name="db-migration",
            env=[{"name": "MIGRATION", "value": state}],
            pod={"volumes": [{"name": "settings", "secret": {"secretName": "settings"}}]},
            container={
                "image": image,
                "command": ["bash", "-c", "python3 manage.py migrate\npython3 manage.py loaddata fixtures/*.yaml"],
                "volumeMounts": [
                    {"name": "settings", "mountPath": "/app/settings_prod.py", "subPath": "settings_prod.py"}
                ],
                "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}},
            },
        )
        job["spec"]["template"]["metadata"] = {"annotations": {"sidecar.istio.io/inject": "false"}}
        return job

    shop = await story.application({"secret.yaml": [settings], "migration.yaml": [migration("broken")]})
    await shop.ended("Failed", started=await shop.sync())
    incident = await story.incident(ended("syntax-error", "Failed"))
    cause = incident["diagnosis"]
    assert (cause["category"], cause["tool"], cause["migration"]) == (
        "syntax-error",
        "django",
        "shop.0003_add_currency",
    )

    await shop.mend({"migration.yaml": [migration("good")]})
    await story.incident(resolved)


async def test_mastodon_whose_second_half_comes_after_the_sync(story: Story) -> None:
    await story.respond()
    image = await story.image(bundle=BUNDLE)

    def migrations(state: str) -> list[Json]:
        tried = {"name": "MIGRATION", "value": state}
        container = {"image": image, "command": ["bundle", "exec", "rails", "db:migrate"]}
        skip = {"name": "SKIP_POST_DEPLOYMENT_MIGRATIONS", "value": "true"}
        return [
            hook("", name="before", env=[tried, skip], container=container),
            hook("", name="after", env=[tried], container=container, sync_phase="PostSync"),
        ]

    shop = await story.application({"migrations.yaml": migrations("bad"), "settings.yaml": [config_map(colour="blue")]})
    await shop.ended("Failed", started=await shop.sync())

    incident = await story.incident(ended("missing-object", "Failed"))
    assert incident["sync_phase"] == "PostSync"
    assert [(one["name"], one["hook_phase"]) for one in hooks(incident)] == [
        ("before", "Succeeded"),
        ("after", "Failed"),
    ]
    cause = incident["diagnosis"]
    assert (cause["category"], cause["tool"], cause["database"]) == ("missing-object", "rails", "postgres")

    await shop.mend({"migrations.yaml": migrations("good")})
    await story.incident(resolved)
