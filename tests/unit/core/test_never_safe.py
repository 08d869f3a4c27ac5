"""Logs after which the same run must not be repeated by itself, though their cause looks as if it passes. Shaped as the
tools and databases print; what each rests on stands beside it."""

import pytest

from responder.core.diagnosis import diagnose_text
from responder.core.failure import Retry
from tests.bench.diagnose import shipped

SHIPPED = shipped()
KNEX = "> ledger@1.0.0 db:migrate\n> knex migrate:latest\n\n"
ALEMBIC = '  File "/opt/venv/lib/python3.12/site-packages/alembic/config.py", line 588, in main\n'


def verdict(log: str, exit_code: int = 1) -> Retry:
    return diagnose_text(log, SHIPPED, exit_code=exit_code).retry


@pytest.mark.parametrize(
    "log",
    [
        # Node makes several attempts where a name has several addresses: as `localhost` has, and no Service.
        KNEX
        + "AggregateError [ECONNREFUSED]: \n    at internalConnectMultiple (node:net:1122:18)\n  [errors]: [ [Error] ]",
        KNEX + "Error: connect ECONNREFUSED 0.0.0.0:5432",
        ALEMBIC + "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 5432)",
        (
            "Microsoft.EntityFrameworkCore.Database.Connection[20004]\n"
            "Npgsql.NpgsqlException (0x80004005): Failed to connect to 127.0.0.1:5432\n"
            " ---> System.Net.Sockets.SocketException (111): Connection refused"
        ),
        "** (DBConnection.ConnectionError) tcp connect (localhost:5432): connection refused - :econnrefused\nEcto.Adapters",
        (
            "Illuminate\\Database\\QueryException: SQLSTATE[HY000] [2002] Connection refused"
            " (Connection: mysql, Host: 127.0.0.1, Port: 3306, SQL: select 1)"
        ),
        'psql: error: connection to server at "sql-proxy" (127.0.0.1), port 5432 failed: Connection refused',
    ],
)
def test_a_refusal_in_its_own_pod_is_not_known_to_pass(log: str) -> None:
    assert verdict(log) is Retry.UNKNOWN


@pytest.mark.parametrize(
    "log",
    [
        # Go without /etc/resolv.conf asks the machine itself (net/dnsclient_unix.go).
        "error: dial tcp: lookup db on [::1]:53: read udp [::1]:47811->[::1]:53: read: connection refused",
        # A name with an IPv6 address only, in a cluster without IPv6.
        'psql: error: connection to server at "db" (2001:db8::1), port 5432 failed: Network is unreachable',
        KNEX + "Error: connect ENETUNREACH 2001:db8::1:5432 - Local (:::0)",
        # A standby with hot_standby = off refuses for as long as it is one.
        (
            'psql: error: connection to server at "db-ro" (10.0.0.7), port 5432 failed: FATAL:  the database system is not'
            " accepting connections\nDETAIL:  Hot standby mode is disabled."
        ),
        # Limits of the account, which the migration meets by its own work.
        KNEX + "Error: User 'ledger' has exceeded the 'max_updates' resource (current value: 100)",
        (
            "Migration failed: Error 1226 (42000): User 'ledger' has exceeded the 'max_user_connections' resource"
            " (current value: 1)"
        ),
    ],
)
def test_what_looks_like_a_passing_fault_of_the_network_and_lasts(log: str) -> None:
    assert verdict(log) is not Retry.SAFE
