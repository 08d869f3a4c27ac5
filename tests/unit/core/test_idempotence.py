"""Which commands are known to be safe to start twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.idempotence import known_idempotent

KNOWN = [
    ["alembic", "upgrade", "head"],
    ["python", "manage.py", "migrate", "--noinput"],
    ["python3", "-u", "/app/manage.py", "migrate"],
    ["php", "artisan", "migrate", "--force"],
    ["/usr/local/bin/php", "artisan", "migrate", "--force"],
    ["flyway", "-url=jdbc:postgresql://db/app", "migrate"],
    ["migrate", "-path", "/migrations", "-database", "postgres://db/app", "up"],
    ["bundle", "exec", "rails", "db:migrate"],
    ["npx", "prisma", "migrate", "deploy"],
    ["npx", "--yes", "knex", "migrate:latest"],
    ["liquibase", "--changelog-file=db.xml", "update"],
    ["atlas", "migrate", "apply", "--env", "prod"],
    ["/bin/sh", "-c", "set -e; cd /app && python manage.py migrate"],
    ["bash", "-ec", "echo migrating\nexec alembic upgrade head"],
    ["sh", "-c", "SKIP_POST_DEPLOYMENT_MIGRATIONS=true bundle exec rails db:migrate"],
    ["migrate", "-lock-timeout", "60", "-path", "/migrations", "-database", "postgres://db/app", "up"],
    ["alembic", "upgrade", "1975ea83b712"],
    ["python", "manage.py", "migrate", "shop", "0042_totals"],
    ["sea-orm-cli", "migrate", "up", "-d", "./migration", "-v"],
    ["hasura", "migrate", "apply", "--database-name", "default"],
    ["python", "manage.py", "migrate", "--noinput", "-v", "2"],
    ["python", "manage.py", "migrate", "--verbosity", "3", "--noinput"],
    ["sqlx", "migrate", "run", "--connect-timeout", "30"],
    ["dbmate", "--wait", "--wait-timeout", "60s", "up"],
    ["npx", "prisma", "migrate", "deploy", "--schema", "prisma/schema.prisma"],
    ["php", "artisan", "migrate", "--force", "--isolated", "--step"],
    ["flyway", "migrate", "-connectRetries=60"],
    ["npx", "sequelize-cli", "db:migrate", "--env=production"],
]
UNKNOWN = [
    [],
    ["/entrypoint.sh"],
    ["sh", "-c", "python manage.py migrate && python manage.py loaddata fixtures/*.yaml"],
    ["sh", "-c", "alembic upgrade head; psql -f seed.sql"],
    ["sh", "-c", "echo done"],
    ["sh", "-c", "$(cat /cmd)"],
    ["sh", "-c", "alembic upgrade head > /data/out"],
    ["sh"],
    ["php", "artisan", "migrate:fresh", "--force"],
    ["php", "artisan", "migrate", "--seed", "extra"],
    ["php", "artisan", "db:seed"],
    ["rails", "db:reset"],
    ["flyway", "clean"],
    ["migrate", "-path", "/m", "-database", "x", "down"],
    ["npx", "prisma", "db", "push"],
    ["alembic", "downgrade", "base"],
    ["alembic", "upgrade", "+1"],
    ["migrate", "-path", "/m", "-database", "x", "up", "2"],
    ["atlas", "migrate", "apply", "1"],
    ["npx", "knex", "migrate:up"],
    ["npx", "db-migrate", "up", "-c", "1"],
    ["node-pg-migrate", "up", "3"],
    ["node-pg-migrate", "up", "-v", "3"],
    ["node-pg-migrate", "up", "--lock-timeout", "30", "3"],
    ["sql-migrate", "up", "-limit=1"],
    ["mix", "ecto.migrate", "--step", "1"],
    ["yoyo", "apply", "--one"],
    ["doctrine-migrations", "migrate", "next"],
    ["hasura", "migrate", "apply", "--up", "1"],
    ["hasura", "migrate", "apply", "--version", "17", "--type", "down"],
    ["sea-orm-cli", "migrate", "up", "-n", "1"],
    ["sea-orm-cli", "migrate", "fresh"],
    ["sea-orm-cli", "migrate", "-v", "fresh"],
    ["flyway", "migrate", "clean"],
    ["php", "artisan", "migrate", "--seed", "--force"],
    ["php", "artisan", "migrate", "--force", "--seeder=DemoSeeder"],
    ["python", "manage.py", "migrate", "shop", "zero"],
]


@pytest.mark.parametrize("command", KNOWN, ids=" ".join)
def test_a_migration_tools_own_apply_may_run_twice(command: list[str]) -> None:
    assert known_idempotent(command)


@pytest.mark.parametrize("command", UNKNOWN, ids=" ".join)
def test_anything_else_is_not_known_to(command: list[str]) -> None:
    assert not known_idempotent(command)


@given(st.lists(st.text(), max_size=6))
def test_no_command_line_makes_it_raise(command: list[str]) -> None:
    known_idempotent(command)


@given(
    st.sampled_from(KNOWN[:12]),
    st.sampled_from(["rm -rf /data", "psql -f seed.sql", "./after.sh", "curl -XPOST http://x"]),
)
def test_one_unknown_command_spoils_the_chain(command: list[str], other: str) -> None:
    assert not known_idempotent(["sh", "-c", f"{' '.join(command)} && {other}"])
