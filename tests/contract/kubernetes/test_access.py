from tests.contract.kubernetes.cluster import Cluster


async def test_without_credentials_objects_are_refused_and_probes_are_not(cluster: Cluster) -> None:
    async with cluster.session.get(cluster.path("configmaps")) as refused:
        assert refused.status in {401, 403}  # a real one may know an anonymous user
    for path in ("/healthz", "/readyz", "/version"):
        async with cluster.session.get(path) as answer:
            assert answer.status == 200


async def test_a_wrong_token_is_nobodys(cluster: Cluster) -> None:
    answer = await cluster.call("GET", cluster.path("configmaps"), token="wrong")
    assert answer.failure == (401, "Unauthorized", "Unauthorized")


async def test_one_may_ask_what_one_may(cluster: Cluster) -> None:
    attributes = {"verb": "patch", "group": "argoproj.io", "resource": "applications", "namespace": cluster.namespace}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    body = {**review, "spec": {"resourceAttributes": attributes}}
    answer = await cluster.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert answer.status == 201
    assert answer.body["status"]["allowed"] is True


async def test_discovery_names_the_resources_and_their_verbs(cluster: Cluster) -> None:
    core = (await cluster.call("GET", "/api/v1")).body["resources"]
    assert {"pods", "pods/log", "configmaps"} <= {one["name"] for one in core}
    groups = (await cluster.call("GET", "/apis")).body["groups"]
    assert {"batch", "argoproj.io", "authorization.k8s.io"} <= {one["name"] for one in groups}
    argo = (await cluster.call("GET", "/apis/argoproj.io/v1alpha1")).body["resources"]
    applications = next(one for one in argo if one["name"] == "applications")
    assert {"get", "list", "watch", "patch"} <= set(applications["verbs"])
    assert "applications/status" not in {one["name"] for one in argo}
