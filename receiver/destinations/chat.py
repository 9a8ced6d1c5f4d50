"""Messages for people, in the forms of incoming webhooks of Slack and Microsoft Teams.

Sources: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from receiver.events import TYPE_PREFIX

_MOST_CHARS: Final = 2_000
_MOST_ESCAPED_CHARS: Final = 3_000
"""Maximum characters in the text of a Slack section, escapes included."""
_MOST_VALUE_CHARS: Final = 300


def slack(envelope: bytes) -> bytes:
    """Return a message for an incoming webhook of Slack."""
    title, lines = _told(envelope)
    text = _escaped("\n".join([title, *(f"{name}: {value}" for name, value in lines)]))
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return orjson.dumps({"text": _escaped(title), "blocks": [section]})


def teams(envelope: bytes) -> bytes:
    """Return a message for a workflow of Teams, which accepts only adaptive cards."""
    title, lines = _told(envelope)
    facts = [{"title": name, "value": value} for name, value in lines]
    block = {"type": "TextBlock", "text": title[:_MOST_CHARS], "wrap": True, "weight": "Bolder"}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [block, {"type": "FactSet", "facts": facts}],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return orjson.dumps({"type": "message", "attachments": [attachment]})


FORMATS: Final[Mapping[str, Callable[[bytes], bytes]]] = {"slack": slack, "teams": teams}


def _told(envelope: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Return a title and further lines."""
    message = orjson.loads(envelope)
    kind = str(message.get("type", "")).removeprefix(TYPE_PREFIX)
    data = message.get("data")
    data = data if isinstance(data, dict) else {"data": data}
    if isinstance(data.get("facts"), dict) and "summary" in data:
        steps = {name: data[name] for name in ("next", "runbook") if name in data}
        return str(data["summary"]), [*_lines(data["facts"]), *_lines(steps), ("event", kind)]
    asset = data.get("asset")
    more = {"asset": asset.get("url") or asset.get("error")} if isinstance(asset, dict) else {}
    plain = {name: value for name, value in data.items() if not isinstance(value, dict | list)}
    return f"{kind} {message.get('subject', '')}".strip(), _lines({**plain, **more})


def _lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(value)[:_MOST_VALUE_CHARS]) for name, value in facts.items() if value is not None]


def _escaped(text: str) -> str:
    """Escape the characters of Slack's own markup, and cut the text to Slack's limit.

    Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    escaped = text[:_MOST_CHARS].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= _MOST_ESCAPED_CHARS:
        return escaped
    # Do not cut an escape in two: its rest would be shown as text.
    return re.sub("&[a-z]*$", "", escaped[:_MOST_ESCAPED_CHARS])
