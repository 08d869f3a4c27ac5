"""What failures share: one database, one node, one registry; never two databases that are merely called alike."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.correlation import correlation_key
from responder.core.failure import Because, Category, Diagnosis
from tests.unit.core.deciding import SAFE
from tests.unit.core.night import container, job, pod


def key(line: str, category: Category = Category.CONNECTION_REFUSED, cluster: str = "east", where: str = "shop") -> str:
    return correlation_key(said(line, category), cluster, where)


def said(line: str, category: Category = Category.CONNECTION_REFUSED) -> Diagnosis:
    return msgspec.structs.replace(SAFE, category=category, key_line=line, because=(Because(line),))


@pytest.mark.parametrize(
    ("line", "host"),
    [
        (
            'psycopg2.OperationalError: connection to server at "db.prod.example.com" (10.0.0.5), port 5432 failed',
            "db.prod.example.com",
        ),
        ('could not translate host name "db.prod.example.com" to address', "db.prod.example.com"),
        ("Can't connect to MySQL server on 'db.prod.example.com:3306' (111)", "db.prod.example.com"),
        ("Unknown MySQL server host 'DB.prod.example.com' (-2)", "db.prod.example.com"),
        ("dial tcp 10.1.2.3:5432: connect: connection refused", "east/10.1.2.3"),
        ("dial tcp: lookup db on 10.96.0.10:53: no such host", "east/shop/db"),
        ("dial tcp [fd00::7]:5432: connect: connection refused", "east/fd00::7"),
        ('connection to server at "fd00::7", port 5432 failed: Connection refused', "east/fd00::7"),
        ("Error: connect ECONNREFUSED 10.1.2.3:5432", "east/10.1.2.3"),
        ("Error: connect ECONNREFUSED fd00::7:5432", "east/fd00::7"),
        ("getaddrinfo ENOTFOUND db.prod.example.com", "db.prod.example.com"),
        ('connection to server at "db", port 5432 failed', "east/shop/db"),
        ('connection to server at "db.shop", port 5432 failed', "east/db.shop"),
        ('connection to server at "db.shop.svc", port 5432 failed', "east/db.shop.svc"),
        ('connection to server at "db.shop.svc.cluster.local", port 5432 failed', "east/db.shop.svc.cluster.local"),
        ('connection to server at "db.shop.svc.k8s.corp", port 5432 failed', "east/db.shop.svc.k8s.corp"),
        ("jdbc: Connection to db.prod.example.com:5432 refused.", "db.prod.example.com"),
        ("host=db.prod.example.com port=5432: timeout", "db.prod.example.com"),
    ],
)
def test_a_database_is_known_by_its_host(line: str, host: str) -> None:
    assert key(line) == f"database/{host}/connection-refused"


@pytest.mark.parametrize(
    "line",
    [
        'connection to server at "localhost" (127.0.0.1), port 5432 failed: Connection refused',
        "dial tcp 127.0.0.1:5432: connect: connection refused",
        "dial tcp [::1]:5432: connect: connection refused",
        "Error: connect ECONNREFUSED ::1:5432",
        "dial tcp 127.8.9.1:3306: connect: connection refused",
        "dial tcp 0.0.0.0:3306: connect: connection refused",
        "dial tcp [::ffff:127.0.0.1]:5432: connect: connection refused",
        'connection to server at "db.localhost", port 5432 failed: Connection refused',
        'connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: No such file or directory',
        "SQLSTATE[HY000] [2002] Connection refused",
        "Can't connect to local MySQL server through socket '/run/mysqld/mysqld.sock' (2)",
        "could not connect to the server",
        "",
    ],
)
def test_loopback_and_silence_are_shared_by_nobody(line: str) -> None:
    assert key(line) == ""


def test_two_databases_called_alike_never_merge() -> None:
    line = 'connection to server at "db", port 5432 failed'
    keys = {key(line, cluster=c, where=n) for c in ("east", "west") for n in ("shop", "payments")}

    assert len(keys) == 4


def test_one_host_that_fails_in_two_ways_is_two_causes() -> None:
    line = 'could not reach host "db.prod.example.com"'

    assert key(line, Category.DNS_FAILURE) != key(line, Category.CONNECTION_REFUSED)


@pytest.mark.parametrize("category", [Category.SYNTAX_ERROR, Category.ALREADY_EXISTS, Category.UNKNOWN])
def test_a_migrations_own_fault_is_shared_by_nobody(category: Category) -> None:
    assert key('connection to server at "db.prod.example.com"', category) == ""


@pytest.mark.parametrize(
    ("line", "shared"),
    [
        ('Back-off pulling image "registry.example.com/shop/migrate:1"', "registry/registry.example.com"),
        ('Failed to pull image "registry:5000/migrate:1": connection refused', "registry/registry:5000"),
        ('Failed to pull image "shop/migrate:1": unauthorized', "registry/docker.io"),
        ('Failed to pull image "migrate:1": toomanyrequests', "registry/docker.io"),
        ('Failed to pull image "registry.example.com/migrate:nope": manifest unknown', ""),
        ('Failed to pull image "registry.example.com/migrate:nope": not found', ""),
    ],
)
def test_a_registry_is_shared_and_a_missing_image_is_not(line: str, shared: str) -> None:
    assert key(line, Category.IMAGE_PULL) == shared


def test_a_node_is_shared_within_its_cluster() -> None:
    run = job(pods=(pod(container(), node="node-7"),))

    assert correlation_key(said("", Category.NODE_LOST), "east", "shop", (run,)) == "node/east/node-7"
    assert correlation_key(said("", Category.NODE_LOST), "east", "shop", ()) == ""


def test_an_expired_credential_is_shared_and_a_wrong_one_is_not() -> None:
    expired = "connection to server at \"db.prod.example.com\" failed: password of user 'orders' has expired"

    assert key(expired, Category.AUTH_FAILED) == "credential/db.prod.example.com"
    assert key("certificate has expired", Category.TLS_ERROR) == "credential/east/shop"
    assert key('server at "db.prod.example.com": password authentication failed', Category.AUTH_FAILED) == ""


@given(st.text(), st.sampled_from(list(Category)))
def test_no_text_breaks_it_and_the_same_text_says_the_same(line: str, category: Category) -> None:
    assert key(line, category) == key(line, category)
