"""Readings of what the provider's document leaves open: a switch for each open question.

The comment of a switch names the rows of docs/contract.md that it answers. Its values are all natural
readings, and its default is the most natural one.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self, get_args, get_type_hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One reading of the document."""

    # C07
    retry_after: Literal["absent", "seconds", "date"] = "absent"
    # C08
    rate_headers: Literal["always", "with_key", "never"] = "always"
    refused_requests_count: bool = False
    rate_window: Literal["from_first_request", "whole_minutes"] = "from_first_request"
    # C09: the provider's clock minus the true time, in seconds
    reset_unit: Literal["seconds", "milliseconds"] = "seconds"
    clock_skew_s: Literal[0, -3, 3] = 0
    # C11
    request_id_header: Literal["absent", "x-request-id", "request-id", "cf-ray"] = "absent"
    extra_headers: bool = False
    key_prefix: Literal["avs_live_", "avs_test_"] = "avs_live_"
    # C20
    prompt_max_chars: Literal[0, 4000] = 0
    # C22
    default_image_ratio: Literal["1:1", "16:9"] = "1:1"
    # C23
    jpeg_is_jpg: bool = False
    # C24; one on this machine is never refused
    webhook_url_https: bool = False
    webhook_url_failures: bool = True
    # C26
    generate_status: Literal[200, 201, 202] = 200
    # C27, C57
    generation_wrapper: Literal["", "data", "generation"] = ""
    # C28
    echo_parameters: bool = False
    # C29
    unknown_fields: Literal["ignored", "refused"] = "ignored"
    # C30
    unfinished_status: Literal["processing", "queued", "rendering"] = "processing"
    # C43
    duration_forms: Literal["integer", "number", "string"] = "integer"
    # C43, C47
    video_price: Literal["each", "per_second"] = "each"
    # C44
    data_uri_frames: bool = False
    # C52
    limit_outside: Literal["refused", "clamped"] = "refused"
    # C53; `name` is the resource's own name; an empty one means a bare array
    list_wrapper: Literal["data", "items", "results", "name", ""] = "data"
    # C54
    order: Literal["newest_first", "oldest_first"] = "newest_first"
    # C55, C72
    total: Literal["filtered", "unfiltered", "page", "absent"] = "filtered"
    # C59
    foreign_id: Literal[404, 403] = 404
    # C60
    expired_link_status: Literal[403, 404, 410] = 403
    # C61
    refund: Literal["credits", "credits_and_charge"] = "credits"
    # C74
    model_of_other_kind: Literal["refused", "accepted"] = "refused"
    # C82, C83
    update_verb: Literal["both", "PATCH", "PUT"] = "both"
    wrong_verb_status: Literal[405, 404] = 405
    # C84
    webhook_secret_field: Literal["secret", "signing_secret", "webhook_secret", ""] = "secret"  # noqa: S105  # a name
    webhook_secret_again: bool = False
    webhook_wrapper: Literal["", "data", "webhook"] = ""
    webhook_create_status: Literal[201, 200] = 201
    # C85
    delete_answer: Literal["204", "empty_200", "json_200", "text_200"] = "204"
    # C86, C87
    extra_fields: bool = False
    timestamps: Literal["seconds", "milliseconds", "offset"] = "seconds"
    # C88
    failure_field: Literal[
        "error", "error_object", "error_message", "failure_reason", "message", "top_level", ""
    ] = "error"
    failed_output_url: Literal["null", "absent"] = "null"
    # C93; `untold` is one that the API never shows, `each` a different one per webhook
    webhook_secrets: Literal["account", "each"] = "account"
    webhook_url_secret: Literal["account", "untold"] = "account"  # noqa: S105  # whose
    # C94
    webhook_and_url: Literal["both", "url_only"] = "both"
    # C95
    retries_signed: Literal["anew", "as_first"] = "anew"
    webhook_redirects: Literal["refused", "followed"] = "refused"
    webhook_disabled_after: Literal[0, 3] = 0
    # C97
    webhook_url_query: Literal["kept", "dropped"] = "kept"
    webhook_url_userinfo: Literal["kept", "dropped"] = "kept"
    # C102
    key_field: Literal["key", "api_key", "token"] = "key"
    key_wrapper: Literal["", "data"] = ""
    session_cookie_name: Literal["session", "__Secure-next-auth.session-token"] = "session"
    session_origin: Literal["ignored", "required"] = "ignored"
    ip_networks: bool = True
    bearer_on_keys: Literal[401, 403] = 401
    # "U: order of checks" and "field name in details" below the table of error codes
    rate_checked: Literal["after_scope", "before_scope"] = "after_scope"
    invalid_details: Literal["field", "fields", "absent"] = "field"

    @classmethod
    def random(cls, seed: int) -> Self:
        """Return a reading with every switch set at random, the same for the same *seed*."""
        chosen: dict[str, Any] = {
            # Each switch has its own random draw, so that a new switch does not change the others of a seed.
            name: random.Random(f"{seed} {name}").choice(readings)  # noqa: S311  # repeatable on purpose
            for name, readings in switches().items()
        }
        return cls(**chosen)


def switches() -> dict[str, tuple[Any, ...]]:
    """Return every switch with its possible values."""
    hints = get_type_hints(Dialect)
    return {name: (False, True) if hint is bool else get_args(hint) for name, hint in hints.items()}


def timestamp(at: float, dialect: Dialect) -> str:
    """Format *at*, seconds since the epoch, as the dialect writes times."""
    time = datetime.fromtimestamp(at, UTC)
    if dialect.timestamps == "milliseconds":
        return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    written = time.isoformat(timespec="seconds")
    return written if dialect.timestamps == "offset" else written.replace("+00:00", "Z")


def seconds(text: str) -> float:
    """Parse an ISO 8601 time into seconds since the epoch; without an offset it is UTC.

    Raises:
        ValueError: it is not one.
    """
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
