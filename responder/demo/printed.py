"""What migration tools print, in the form their real output has; services, tables and people are invented."""

_SITE = "/opt/venv/lib/python3.12/site-packages"
_DJANGO_STACK = f"""\
Traceback (most recent call last):
  File "/app/manage.py", line 22, in <module>
    main()
  File "{_SITE}/django/core/management/commands/migrate.py", line 353, in handle
    post_migrate_state = executor.migrate(
                         ^^^^^^^^^^^^^^^^^
  File "{_SITE}/django/db/migrations/executor.py", line 255, in apply_migration
    state = migration.apply(state, schema_editor)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{_SITE}/django/db/backends/postgresql/schema.py", line 45, in execute
    return super().execute(sql, params)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{_SITE}/django/db/backends/utils.py", line 103, in _execute
    return self.cursor.execute(sql)
           ^^^^^^^^^^^^^^^^^^^^^^^^"""
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n"


def _django_plan(apps: str, migration: str, rest: str) -> str:
    return (
        f"Operations to perform:\n  Apply all migrations: {apps}\nRunning migrations:\n  Applying {migration}...{rest}"
    )


def django_lock_timeout(apps: str, migration: str) -> str:
    """PostgreSQL, with ``lock_timeout`` set for the migration's connection."""
    said = "canceling statement due to lock timeout"
    return _django_plan(
        apps,
        migration,
        f"{_DJANGO_STACK}\npsycopg.errors.LockNotAvailable: {said}\n{_CAUSED}\n{_DJANGO_STACK}\n"
        f"django.db.utils.OperationalError: {said}",
    )


def django_done(apps: str, migration: str) -> str:
    return _django_plan(apps, migration, " OK")


def laravel_half_applied(migration: str, table: str, column: str, value: str) -> str:
    """MySQL keeps the statements before the one that failed: a table was made, the unique key was not."""
    index = f"{table}_{column}_unique"
    failed = (
        f"SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry '{value}' for key '{table}.{index}'"
        f" (Connection: mysql, SQL: alter table `{table}` add unique `{index}`(`{column}`))"
    )
    return f"""\
   INFO  Running migrations.

  {migration} {"." * 40} 38.12ms FAIL

   Illuminate\\Database\\UniqueConstraintViolationException

  {failed}

  at vendor/laravel/framework/src/Illuminate/Database/Connection.php:817
    813▕         // If an exception occurs when attempting to run a query, we'll format the error
    814▕         // message to include the bindings with SQL, which will make this exception a
    815▕         // lot more helpful to the developer instead of just the database's errors.
    816▕         catch (Exception $e) {{
  ➜ 817▕             throw new UniqueConstraintViolationException(

      +9 vendor frames

  10  database/migrations/{migration}.php:27
      Illuminate\\Support\\Facades\\Facade::__callStatic("table")"""


def laravel_table_exists(migration: str, table: str) -> str:
    """What every further attempt would have said."""
    failed = (
        f"SQLSTATE[42S01]: Base table or view already exists: 1050 Table '{table}' already exists"
        f" (Connection: mysql, SQL: create table `{table}` (`id` bigint unsigned not null auto_increment primary key))"
    )
    return f"""\
   INFO  Running migrations.

  {migration} {"." * 40} 4.51ms FAIL

   Illuminate\\Database\\QueryException

  {failed}

  at vendor/laravel/framework/src/Illuminate/Database/Connection.php:825"""


def laravel_done(migration: str) -> str:
    return f"   INFO  Running migrations.\n\n  {migration} {'.' * 40} 21.40ms DONE\n"


_FLYWAY = "Flyway Community Edition 9.22.3 by Redgate\nSee release notes here: https://rd.gt/416ObMi\n\n"


def _flyway_head(host: str, database: str, done: int) -> str:
    return f"""{_FLYWAY}\
Database: jdbc:postgresql://{host}:5432/{database} (PostgreSQL 16.4)
Successfully validated {done + 1} migrations (execution time 00:00.041s)
Current version of schema "public": {done}
"""


def flyway_missing_column(host: str, database: str, version: int, name: str) -> str:
    title, file = name.replace("_", " "), f"V{version}__{name}.sql"
    return f"""{_flyway_head(host, database, version - 1)}\
Migrating schema "public" to version "{version} - {title}"
ERROR: Migration of schema "public" to version "{version} - {title}" failed! Changes successfully rolled back.
A Flyway report has been generated here: /flyway/report.html
ERROR: Migration {file} failed
{"-" * 37}
SQL State  : 42703
Error Code : 0
Message    : ERROR: column "rank_boost" does not exist
  Position: 45
Location   : /flyway/sql/{file} (/flyway/sql/{file})
Line       : 3
Statement  : CREATE INDEX documents_rank_idx ON documents (rank_boost)

Caused by: Migration {file} failed
{"-" * 37}
SQL State  : 42703
Error Code : 0
Message    : ERROR: column "rank_boost" does not exist
  Position: 45"""


def flyway_done(host: str, database: str, version: int, name: str) -> str:
    title = name.replace("_", " ")
    return f"""{_flyway_head(host, database, version - 1)}\
Migrating schema "public" to version "{version} - {title}"
Successfully applied 1 migration to schema "public", now at version v{version} (execution time 00:00.019s)"""


def flyway_refused(host: str, database: str, user: str) -> str:
    said = (
        f"Connection to {host}:5432 refused. Check that the hostname and port are correct and that the postmaster"
        " is accepting TCP/IP connections."
    )
    return f"""{_FLYWAY}\
ERROR: Unable to obtain connection from database (jdbc:postgresql://{host}:5432/{database}) for user '{user}': {said}
{"-" * 100}
SQL State  : 08001
Error Code : 0
Message    : {said}

Caused by: org.postgresql.util.PSQLException: {said}
Caused by: java.net.ConnectException: Connection refused"""


def rails_refused(host: str) -> str:
    said = (
        f'connection to server at "{host}" (10.42.7.19), port 5432 failed: Connection refused\n'
        "\tIs the server running on that host and accepting TCP/IP connections?"
    )
    return f"""\
rails aborted!
ActiveRecord::ConnectionNotEstablished: {said}


Caused by:
PG::ConnectionBad: {said}

Tasks: TOP => db:migrate
(See full trace by running task with --trace)"""


def rails_done(stamp: str, name: str) -> str:
    rule = "=" * 40
    return f"""\
== {stamp} {name}: migrating {rule}
-- add_column(:customers, :locale, :string)
   -> 0.0031s
== {stamp} {name}: migrated (0.0032s) {rule}
"""
