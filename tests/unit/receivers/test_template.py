import logging

import pytest

from responder.config import ConfigError
from responder.receivers.template import parse_template
from tests.unit.receivers.neighbours import ALERT, alert


def test_a_template_words_the_alert() -> None:
    wording = parse_template("{{ alert.title }}: {% for line in alert.details %}{{ line }};{% endfor %}\n", "t.j2")
    assert wording.render(ALERT) == "shop/orders: db-migrate already-exists: 12: ERROR: relation exists;13: at line 3;"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n{% if %}", "t.j2:2:1: Expected an expression, got 'end of statement block'"),
        ("{{ alert.titel }}", "t.j2:1:1: fails on a sample alert: "),
        ("{{ alert.labels.nothing }}", "t.j2:1:1: fails on a sample alert: "),
        ("{{ ''.__class__.__mro__ }}", "t.j2:1:1: fails on a sample alert: access to attribute '__class__'"),
        ("{{ range(100000000) | list }}", "t.j2:1:1: fails on a sample alert: Range too big"),
        ("{% include '/etc/passwd' %}", "t.j2:1:1: fails on a sample alert: "),
        ("{{ 1 / 0 }}", "t.j2:1:1: fails on a sample alert: division by zero"),
    ],
)
def test_a_template_that_cannot_work_is_refused_when_it_is_read(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_template(text, "t.j2")
    assert caught.value.problems[0].startswith(problem)


def test_an_alert_is_never_lost_to_its_looks(caplog: pytest.LogCaptureFixture) -> None:
    wording = parse_template("{{ alert.labels.category }}", "t.j2", str.upper)
    with caplog.at_level(logging.ERROR):
        text = wording.render(alert(labels={}, what="what", left="left", next="next"))
    assert text == "WHAT\nLEFT\nNEXT"
    assert "template failed" in caplog.text


def test_values_are_escaped_and_the_templates_own_text_is_not() -> None:
    wording = parse_template("<{{ alert.what }}>", "t.j2", lambda text: text.replace("<", "&lt;"))
    assert wording.render(alert(what="<b>")) == "<&lt;b>>"
