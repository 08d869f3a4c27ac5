"""Slack incoming webhook.

It can only post: an incoming webhook gives back no message id, so a change of an alert is a new message and the old
one is neither updated nor threaded. That needs a bot token.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from responder.core.alert import Alert, AlertState, Severity
from responder.receivers.http import Endpoint
from responder.receivers.template import Wording

HEADER = 150  # characters of a header block
SECTION = 3000  # of a section's text, escaped
BLOCKS = 50
WHOLE = 12_000  # of all blocks: Slack refuses somewhere above 13,000 (msg_blocks_too_long)
FALLBACK = 1000  # of the plain text beside the blocks
_LABELS = 1000  # of the line of labels

COLOURS = {Severity.CRITICAL: "#c62828", Severity.WARNING: "#f9a825", Severity.INFO: "#1565c0"}
RESOLVED = "#2e7d32"
_MARKS = {AlertState.FIRING: "", AlertState.ACKNOWLEDGED: "Acknowledged: ", AlertState.RESOLVED: "Resolved: "}

# a log may hold anything; what cannot be shown is no reason to refuse the whole message
_UNSEEN = {code: "\ufffd" for code in range(32) if chr(code) not in "\t\n"}

Block = dict[str, Any]


class Slack:
    def __init__(self, name: str, endpoint: Endpoint, wording: Wording | None = None) -> None:
        self.name = name
        self.repeat_every: float | None = None
        self._endpoint = endpoint
        self._wording = wording

    async def send(self, alert: Alert, reference: str) -> str:
        text = self._wording.render(alert) if self._wording else None
        body = msgspec.json.encode(message(alert, text))
        await self._endpoint.post(body, {"Content-Type": "application/json; charset=utf-8"})
        return reference

    async def close(self) -> None:
        await self._endpoint.close()


def message(alert: Alert, text: str | None = None) -> dict[str, Any]:
    """``text``: mrkdwn that stands for the three lines, already escaped."""
    title = _MARKS[alert.state] + alert.title
    blocks = [_header(title), *_sections(alert, text)]
    blocks += _details(alert, room=WHOLE - sum(map(_size, blocks)), count=BLOCKS - len(blocks))
    return {
        "text": fit(title, FALLBACK),  # what notifications and screen readers show
        "attachments": [{"color": _colour(alert), "blocks": blocks}],
    }


def fit(text: str, limit: int) -> str:
    """Escaped for mrkdwn and no longer than that, without half an entity at the end."""
    return _cut(escape(text), limit)


def escape(text: str) -> str:
    return text.translate(_UNSEEN).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(escaped: str, limit: int) -> str:
    return escaped if len(escaped) <= limit else re.sub(r"&[a-z]{0,3}$", "", escaped[: limit - 1]) + "…"


def _colour(alert: Alert) -> str:
    return RESOLVED if alert.state is AlertState.RESOLVED else COLOURS[alert.severity]


def _header(title: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": title.translate(_UNSEEN)[:HEADER] or "Incident"}}


def _section(mrkdwn: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn}}


def _sections(alert: Alert, text: str | None) -> list[Block]:
    lines = [_cut(text, SECTION)] if text is not None else [fit(line, SECTION) for line in _three(alert)]
    labels = fit(" · ".join(f"{name} {value}" for name, value in alert.labels.items() if value), _LABELS)
    links = " · ".join(filter(None, (_link(alert.incident_url, "Incident"), _link(alert.runbook_url, "Runbook"))))
    context = [{"type": "mrkdwn", "text": part} for part in (links, labels) if part]
    blocks = [_section(line) for line in lines if line]
    return [*blocks, {"type": "context", "elements": context}] if context else blocks


def _three(alert: Alert) -> tuple[str, ...]:
    children = f"{len(alert.children)} affected: {', '.join(alert.children)}" if alert.children else ""
    return alert.what, alert.left, alert.next, children


def _link(url: str, text: str) -> str:
    safe = escape(url).replace("|", "%7C").replace("&gt;", "%3E").replace("&lt;", "%3C")
    return f"<{safe}|{text}>" if url else ""


def _details(alert: Alert, *, room: int, count: int) -> list[Block]:
    """As many whole lines as there is room for: the first thing to go."""
    blocks: list[Block] = []
    for code in _chunks(alert.details):
        block = _section(f"```{code}```")
        room -= _size(block)
        if room < 0 or len(blocks) == count:
            break
        blocks.append(block)
    return blocks


def _chunks(lines: Iterable[str]) -> Iterator[str]:
    """Lines joined up to what one code block holds."""
    chunk = ""
    for line in lines:
        text = fit(_unfenced(line), SECTION - 6)
        if chunk and len(chunk) + 1 + len(text) > SECTION - 6:
            yield chunk
            chunk = ""
        chunk = f"{chunk}\n{text}" if chunk else text
    if chunk:
        yield chunk


def _unfenced(text: str) -> str:
    """Three backticks in a log would end the code block."""
    return text.replace("```", "`\u200b`\u200b`")


def _size(block: Block) -> int:
    return len(msgspec.json.encode(block).decode())
