#!/usr/bin/env bash
# kombu 5.7.0 hands out JSON as a string if the content type is `application/cloudevents+json`, or names a charset.
#
# The AMQP binding of CloudEvents 1.0.2, section 3.2, has that type for an event that is whole in the body, and RFC 6839
# says that `+json` may be read as JSON. kombu looks the type up as it is written. With one that it does not know the
# body is a `str`, and a consumer that accepts `json` only, as Celery's do, refuses the message.
#
# Output seen 2026-11-30:
#   application/json: dict, accepting json only dict
#   application/cloudevents+json: str, accepting json only ContentDisallowed
#   application/json; charset=utf-8: str, accepting json only ContentDisallowed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check kombu==5.7.0
cat >"$folder/show.py" <<'PYTHON'
from kombu import Connection, Consumer, Producer, Queue
from kombu.exceptions import ContentDisallowed


def taken(connection, content_type, accept):
    bodies = []
    with connection.channel() as channel:
        queue = Queue(f"events-{content_type}-{accept}")
        Producer(channel).publish(
            b"{}", content_type=content_type, content_encoding="utf-8", routing_key=queue.name, declare=[queue]
        )
        with Consumer(channel, queue, callbacks=[lambda body, message: bodies.append(body)], accept=accept, no_ack=True):
            try:
                connection.drain_events(timeout=10)
            except ContentDisallowed as error:
                return type(error).__name__
    return type(bodies[0]).__name__


with Connection("memory://") as connection:
    for content_type in ("application/json", "application/cloudevents+json", "application/json; charset=utf-8"):
        any_type, json_only = (taken(connection, content_type, accept) for accept in (None, ["json"]))
        print(f"{content_type}: {any_type}, accepting json only {json_only}")
PYTHON
"$folder/venv/bin/python" "$folder/show.py" | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
application/json: dict, accepting json only dict
application/cloudevents+json: str, accepting json only ContentDisallowed
application/json; charset=utf-8: str, accepting json only ContentDisallowed
SEEN
