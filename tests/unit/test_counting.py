from prometheus_client import CollectorRegistry

from responder.core.argocd import AppKey
from responder.counting import Tally
from responder.metrics import Metrics
from tests.contract.store.examples import StandingClock


def test_webhooks_that_name_ever_other_applications_take_no_more_memory() -> None:
    tally = Tally(Metrics(CollectorRegistry()), StandingClock())
    for number in range(10_100):
        tally.heard(AppKey("argocd", f"preview-{number}"))
    assert len(tally._heard) == 10_000
    assert AppKey("argocd", "preview-10099") in tally._heard
