"""What to do about a refusal: the setting to change, or the command to run next."""

from datetime import UTC, datetime
from shlex import quote
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from receiver.client import ClientError, OutcomeUnknown

_COOKIE: Final = "RECEIVER_SESSION_COOKIE"
_MOST_CANDIDATES: Final = 10
_LISTS: Final = {"/webhooks": "webhooks", "/keys": "keys"}


def add_advice(error: "ClientError", credential: str, *, noted: bool = False) -> None:
    """Add to *error* what to do about it.

    *credential* is the setting that was used to sign in; *noted*: a ledger was used.
    """
    advice = _advice(error, credential, noted=noted)
    if advice:
        error.add_note(advice)


def on_interruption(client_ref: str | None) -> str:
    """Return what to do after an interrupted paid call, whose answer can no longer arrive."""
    lines = ["It may have been accepted, and charged. Do not repeat it yet:"]
    lines.append("`receiver generations list` shows what the provider accepted.")
    if client_ref is not None:
        lines.append(f"`receiver submissions list` shows the record of {client_ref};")
        lines.append(f"`receiver submissions recover {quote(client_ref)}` searches for it if it is in doubt.")
    return "\n".join(lines)


def _advice(error: "ClientError", credential: str, *, noted: bool) -> str | None:
    from receiver.client import errors

    if isinstance(error, errors.OutcomeUnknown):
        return _on_unknown(error, noted=noted)
    if isinstance(error, errors.WaitTimeout):
        return f"Keep waiting with `receiver generations wait {' '.join(map(quote, error.pending))}`."
    if credential == _COOKIE and isinstance(error, errors.Forbidden):
        # Some answer this instead of 401: a session has no scopes.
        return f"Check {credential}: it is wrong, or the session has ended."
    table: tuple[tuple[type[ClientError], str], ...] = (
        (errors.Unauthorized, f"Check {credential}: it is wrong, revoked or expired."),
        (errors.InsufficientScope, f"Put a key with that scope into {credential}: `receiver keys create`."),
        (errors.IpNotAllowed, f"Add this machine's address to the allow-list of the key in {credential}."),
        (errors.InsufficientCredits, "Buy credits, or choose a cheaper model: `receiver models`."),
        (errors.NotSent, "Check the network, and RECEIVER_API_BASE_URL if it is set."),
        (errors.NoAnswer, "Check the network, and RECEIVER_API_BASE_URL if it is set."),
    )
    return next((advice for kind, advice in table if isinstance(error, kind)), None)


def _on_unknown(error: "OutcomeUnknown", *, noted: bool) -> str:
    group = _LISTS.get(error.request.path, "generations")
    lines = [f"Do not repeat it yet: `receiver {group} list` shows what the provider accepted."]
    if error.candidates:
        lines.append(f"It could be {' or '.join(_some([one.id for one in error.candidates]))}.")
    if noted:
        known = datetime.fromtimestamp(error.settles_at, UTC)
        ref = quote(error.client_ref or "")
        lines.append(f"`receiver submissions recover {ref}` searches for it;")
        lines.append(f"from {known:%H:%M:%S} UTC on, it can also prove that nothing was charged;")
        lines.append(f"`receiver submissions adopt {ref} ID` settles it.")
    return "\n".join(lines)


def _some(names: list[str]) -> list[str]:
    """Return *names*, or the first of them and the number of others: the list may be very long."""
    rest = len(names) - _MOST_CANDIDATES
    return names if rest <= 0 else [*names[:_MOST_CANDIDATES], f"{rest} more"]
