"""One migration as each of three tools has it, and the command that runs it: what an image has in /app."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

MIGRATION = "add_currency"


class Project(NamedTuple):
    files: Mapping[str, str]
    command: str  # in its folder; the database is $DATABASE_URL

    def write(self, folder: Path) -> None:
        for name, content in self.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")


def golang_migrate(binary: Path, *statements: str) -> Project:
    sql = "".join(f"{statement};\n" for statement in statements)
    command = f'{binary} -path . -database "$DATABASE_URL" up'
    return Project({f"42_{MIGRATION}.up.sql": sql}, command)


def alembic(python: Path, *statements: str) -> Project:
    steps = "".join(f"    op.execute({statement!r})\n" for statement in statements)
    version = f'from alembic import op\n\nrevision = "9c1f4e7a2b30"\ndown_revision = None\n\n\ndef upgrade():\n{steps}'
    files = {
        "alembic.ini": _ALEMBIC_INI,
        "migrations/env.py": _ALEMBIC_ENV,
        f"migrations/versions/9c1f4e7a2b30_{MIGRATION}.py": version,
    }
    return Project(files, f"{python} -m alembic upgrade head")


def django(python: Path, *statements: str) -> Project:
    steps = "".join(f"        migrations.RunSQL({statement!r}),\n" for statement in statements)
    operations = f"class Migration(migrations.Migration):\n    operations = [\n{steps}    ]\n"
    migration = f"from django.db import migrations\n\n\n{operations}"
    files = {
        "manage.py": _DJANGO_MANAGE,
        "settings.py": _DJANGO_SETTINGS,
        "shop/__init__.py": "",
        "shop/migrations/__init__.py": "",
        f"shop/migrations/0001_{MIGRATION}.py": migration,
    }
    return Project(files, f"{python} manage.py migrate --noinput")


# As `alembic init` writes it, without its comments.
_ALEMBIC_INI = """\
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = .

[loggers]
keys = root,sqlalchemy,alembic

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = WARNING
handlers = console
qualname =

[logger_sqlalchemy]
level = WARNING
handlers =
qualname = sqlalchemy.engine

[logger_alembic]
level = INFO
handlers =
qualname = alembic

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = generic

[formatter_generic]
format = %(levelname)-5.5s [%(name)s] %(message)s
datefmt = %H:%M:%S
"""

_ALEMBIC_ENV = """\
import os
from logging.config import fileConfig

from alembic import context
from sqlalchemy import create_engine, pool

fileConfig(context.config.config_file_name)
url = os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

_DJANGO_MANAGE = """\
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
execute_from_command_line(sys.argv)
"""

_DJANGO_SETTINGS = """\
import os
from urllib.parse import unquote, urlsplit

url = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": url.hostname,
        "PORT": url.port,
        "USER": url.username,
        "PASSWORD": unquote(url.password),
        "NAME": url.path[1:],
    }
}
INSTALLED_APPS = ["shop"]
SECRET_KEY = "of-these-tests"
USE_TZ = True
"""
