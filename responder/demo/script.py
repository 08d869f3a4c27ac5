"""The demo's story: nine Applications run, then five things go wrong at once, as they do at three in the morning.

Everything here is what happens in the cluster; what the responder makes of it is in ``expected``.
"""

from collections.abc import Callable
from datetime import timedelta

import msgspec

from responder.demo import printed
from responder.demo.jobs import Start
from responder.demo.kubelet import Run, Script
from responder.demo.resources import Json
from responder.demo.settings import OURS, prepare
from responder.demo.world import World, deployment, hook_job
from responder.ports import Clock

PUSH = 10.0  # seconds after the beginning: the new versions are pushed
LOCK_HELD = timedelta(seconds=14)  # after the push, by somebody's report
DATABASE_AWAY = timedelta(seconds=24)  # long enough for one canary to meet it so
APPROVED = 58.0  # after the beginning: somebody who is on call approves what waits for a person
LASTS = 80.0

_SHOP_DB = "shop-db.data.svc.cluster.local"
_NO_RETRY = {"automated": {"prune": True, "selfHeal": True}, "retry": {"limit": 0}}
_RETRIES = {"automated": {"prune": True}, "retry": {"limit": 5, "backoff": {"duration": "5s", "factor": 2}}}

_STOCK_APPS, _STOCK = "auth, contenttypes, sessions, stock", "stock.0017_shipment_carrier"
_INVOICES = "2026_11_20_091200_create_invoice_lines_and_unique_vat_id"
_PAUSE = 1.5  # seconds; a migration takes its time


class Service(msgspec.Struct, frozen=True):
    """One Application: how its hook is written, and how it is synced."""

    name: str
    environment: str
    command: tuple[str, ...]
    policy: Json
    owner: str
    hook_policy: str = ""
    idempotent: bool = False
    secret: str = ""

    @property
    def application(self) -> str:
        return f"{self.name}-{self.environment}"

    def manifests(self, version: int) -> list[Json]:
        image = f"registry.example.com/{self.name}:1.{version}"
        marks = {"hook-responder.io/idempotent": "true"} if self.idempotent else {}
        container: Json = {"command": list(self.command)}
        if self.secret and version > 1:
            container["envFrom"] = [{"secretRef": {"name": self.secret}}]
        hook = hook_job("db-migrate", image=image, policy=self.hook_policy, annotations=marks, container=container)
        return [hook, deployment(self.name, image)]


_DJANGO = ("python", "manage.py", "migrate", "--noinput")
_FLYWAY = ("flyway", "migrate")
_RAILS = ("bundle", "exec", "rails", "db:migrate")

WAREHOUSE = Service("warehouse", "production", _DJANGO, _NO_RETRY, "logistics", idempotent=True)
BILLING = Service("billing", "staging", ("php", "artisan", "migrate", "--force"), _RETRIES, "finance")
MAILER = Service("mailer", "production", _FLYWAY, _NO_RETRY, "messaging", secret="mailer-smtp")  # noqa: S106 - a name
SEARCH = Service("search", "production", _FLYWAY, _NO_RETRY, "discovery", hook_policy="BeforeHookCreation,HookFailed")
SHOP = (
    Service("cart", "production", _FLYWAY, _NO_RETRY, "shop", idempotent=True),
    Service("checkout", "production", _RAILS, _NO_RETRY, "shop", idempotent=True),
    Service("payments", "production", _FLYWAY, _NO_RETRY, "finance", idempotent=True),
    Service("refunds", "production", _RAILS, _NO_RETRY, "finance", idempotent=True),
    Service("shipping", "production", _FLYWAY, _NO_RETRY, "logistics", idempotent=True),
)
SERVICES = (WAREHOUSE, BILLING, MAILER, SEARCH, *SHOP)


class Story:
    """``begin`` sets everything up; the rest happens by the agenda of its world."""

    def __init__(self, clock: Clock, *, note: Callable[[str], None] = lambda _: None) -> None:
        self._clock = clock
        self._note = note
        self._pushed_at = clock.now() + timedelta(seconds=PUSH)
        self._billing_runs = 0
        self.revisions: dict[str, str] = {}  # of the new versions, by Application
        self.world = World(clock, self._play)

    def begin(self) -> None:
        prepare(self.world.objects, [s.application for s in SERVICES if s.application != OURS])

    def deploy(self) -> None:
        """The versions that run well; the new ones follow."""
        self._note("nine Applications are deployed, their migrations succeed")
        self._pushed_at = self._clock.now() + timedelta(seconds=PUSH)
        for service in SERVICES:
            labels = {"app.kubernetes.io/part-of": service.name, "hook-responder.io/environment": service.environment}
            marks = {"hook-responder.io/owner": service.owner}
            self.world.deploy(
                service.application, service.manifests(1), policy=service.policy, labels=labels, annotations=marks
            )
        self.world.agenda.after(PUSH, self._push)

    def _push(self) -> None:
        self._note("the new versions are pushed; the shop's database has just gone away")
        for service in SERVICES:
            self.revisions[service.application] = self.world.push(service.application, service.manifests(2))

    # What the containers do

    def _play(self, start: Start) -> Run:
        service = next(s for s in SERVICES if s.application == start.namespace)
        if start.image.endswith(":1.1"):
            return _prints(_first_version(service), 0)
        if service is WAREHOUSE:
            return self._warehouse()
        if service is BILLING:
            return self._billing()
        if service is MAILER:
            return Run({"migrate": Script(waiting=("CreateContainerConfigError", 'secret "mailer-smtp" not found'))})
        if service is SEARCH:
            return _prints(printed.flyway_missing_column("search-db", "search", 12, "rank_index"), 1)
        return self._shop(service)

    def _warehouse(self) -> Run:
        if self._clock.now() < self._pushed_at + LOCK_HELD:
            return _prints(printed.django_lock_timeout(_STOCK_APPS, _STOCK), 1)
        return _prints(printed.django_done(_STOCK_APPS, _STOCK), 0)

    def _billing(self) -> Run:
        """The first run makes a table and breaks at the key after it; MySQL keeps the table."""
        self._billing_runs += 1
        if self._billing_runs == 1:
            return _prints(printed.laravel_half_applied(_INVOICES, "customers", "vat_id", "ATU12345678"), 1)
        return _prints(printed.laravel_table_exists(_INVOICES, "invoice_lines"), 1)

    def _shop(self, service: Service) -> Run:
        away = self._clock.now() < self._pushed_at + DATABASE_AWAY
        if service.command == _RAILS:
            rails_done = printed.rails_done("20261120091200", "AddLocaleToCustomers")
            return _prints(printed.rails_refused(_SHOP_DB), 1) if away else _prints(rails_done, 0)
        refused = printed.flyway_refused(_SHOP_DB, service.name, service.name)
        return _prints(refused, 1) if away else _prints(printed.flyway_done(_SHOP_DB, service.name, 8, "locale"), 0)


def _first_version(service: Service) -> str:
    if service.command == _DJANGO:
        return printed.django_done(_STOCK_APPS, "stock.0016_pallets")
    if service.command == _RAILS:
        return printed.rails_done("20261101081500", "CreateCustomers")
    if service.command == _FLYWAY:
        return printed.flyway_done(f"{service.name}-db", service.name, 7, "base")
    return printed.laravel_done("2026_11_01_080000_create_customers")


def _prints(text: str, exit_code: int) -> Run:
    """The first line at once, the rest after a while, as buffered tools do."""
    first, *rest = text.split("\n")
    lines = ((0.2, first), *((_PAUSE if n == 0 else 0.0, line) for n, line in enumerate(rest)))
    return Run({"migrate": Script(lines=lines, ends_after=0.5, exit_code=exit_code)})
