"""How Argo CD marks hooks, and to which Application a mark leads."""

import pytest

from responder.core.argocd import AppKey
from responder.core.hooknaming import app_key, delete_policies, generate_prefix, hook_types, instance

TRACKING = "argocd.argoproj.io/tracking-id"


@pytest.mark.parametrize(
    ("annotations", "types"),
    [
        ({"argocd.argoproj.io/hook": "PreSync"}, ("PreSync",)),
        ({"argocd.argoproj.io/hook": "PreSync, PostSync"}, ("PreSync", "PostSync")),
        ({"helm.sh/hook": "pre-install,pre-upgrade"}, ("PreSync",)),
        ({"helm.sh/hook": "post-install,post-upgrade"}, ("PostSync",)),
        ({"helm.sh/hook": "crd-install"}, ()),
        ({"helm.sh/hook": "test"}, ()),
        ({"argocd.argoproj.io/hook": "Sync", "helm.sh/hook": "pre-install"}, ("Sync",)),
        ({"argocd.argoproj.io/hook": "nonsense", "helm.sh/hook": "pre-install"}, ("PreSync",)),
        ({"argocd.argoproj.io/hook": "Skip", "helm.sh/hook": "pre-install"}, ()),
        ({}, ()),
    ],
)
def test_hook_types_are_read_from_both_families(annotations: dict[str, str], types: tuple[str, ...]) -> None:
    assert hook_types(annotations) == types


@pytest.mark.parametrize(
    ("annotations", "policies"),
    [
        ({}, ("BeforeHookCreation",)),
        ({"argocd.argoproj.io/hook-delete-policy": "nonsense"}, ("BeforeHookCreation",)),
        ({"argocd.argoproj.io/hook-delete-policy": "HookFailed"}, ("HookFailed",)),
        (
            {
                "argocd.argoproj.io/hook-delete-policy": "HookSucceeded",
                "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
            },
            ("HookSucceeded", "BeforeHookCreation"),
        ),
    ],
)
def test_delete_policies_of_both_families_are_united(annotations: dict[str, str], policies: tuple[str, ...]) -> None:
    assert delete_policies(annotations) == policies


@pytest.mark.parametrize(
    ("tracking", "named"),
    [
        ("shop:batch/Job:shop/db-migrate", "shop"),
        ("team-a_shop:batch/Job:shop/db-migrate", "team-a_shop"),
        ("shop:batch/Job:shop/", "shop"),  # generated: stamped before it was named
        ("shop:batch/Job:shop/another", ""),  # copied from another object
        ("shop:batch/Job:elsewhere/db-migrate", ""),
        ("shop:batch/CronJob:shop/db-migrate", ""),
        ("nonsense", ""),
    ],
)
def test_a_tracking_id_counts_only_on_the_object_it_names(tracking: str, named: str) -> None:
    assert instance({TRACKING: tracking}, {}, "batch/Job", "shop", "db-migrate") == named


def test_without_a_tracking_id_the_instance_label_names_the_application() -> None:
    labels = {"app.kubernetes.io/instance": "shop"}

    assert instance({}, labels, "batch/Job", "shop", "db-migrate") == "shop"
    assert instance({TRACKING: "x:batch/Job:other/y"}, labels, "batch/Job", "shop", "db-migrate") == ""


@pytest.mark.parametrize(
    ("tracking", "generate_name", "name", "prefix"),
    [
        ("a:batch/Job:shop/", "seed-", "seed-70b0881-presync-1795263342", "seed-"),
        ("a:batch/Job:shop/", "", "seed-70b0881-presync-1795263342", "seed-"),
        ("a:batch/Job:shop/", "", "migrate--presync-1772359200", "migrate-"),  # several sources: no revision
        ("a:batch/Job:shop/db-migrate", "", "db-migrate", ""),
        ("a:batch/Job:shop/", "", "db-migrate", ""),
    ],
)
def test_a_generated_name_leads_back_to_its_prefix(tracking: str, generate_name: str, name: str, prefix: str) -> None:
    assert generate_prefix({TRACKING: tracking}, generate_name, name) == prefix


def test_the_instance_name_is_an_application_in_argo_cds_namespace_or_in_the_one_it_carries() -> None:
    assert app_key("shop", "argocd") == AppKey("argocd", "shop")
    assert app_key("team-a_shop", "argocd") == AppKey("team-a", "shop")
    assert app_key("", "argocd") is None
