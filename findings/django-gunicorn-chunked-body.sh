#!/usr/bin/env bash
# Django 5.2.19 on gunicorn 27.0.1 sees no body of a request that is sent in chunks.
#
# RFC 9112, section 7.1: a recipient must be able to decode chunks. gunicorn does, and hands on a stream that ends where
# the body does. Django reads as many bytes as `Content-Length` says, and without that header none: `request.body` is
# empty, and nothing is raised or logged. A webhook that is sent in chunks (Go's net/http does so with a body whose length
# it does not know) then fails its signature check. waitress 3.0.2 takes in the whole body and sets its length; Flask
# 3.1.3 reads gunicorn's stream to its end.
#
# Output seen 2026-11-30, the body of a POST of {} in chunks:
#   django gunicorn b''
#   django waitress b'{}'
#   flask gunicorn b'{}'
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" || true; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check django==5.2.19 flask==3.1.3 gunicorn==27.0.1 waitress==3.0.2
cat >with_django.py <<'PYTHON'
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse(repr(request.body)))]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="0" * 50)
app = get_wsgi_application()
PYTHON
cat >with_flask.py <<'PYTHON'
from flask import Flask, request

app = Flask(__name__)
app.add_url_rule("/", view_func=lambda: repr(request.get_data()), methods=["POST"])
PYTHON
body_seen() { # of framework $1 on server $2
  local port
  port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
  case $2 in
    gunicorn) venv/bin/gunicorn --log-level critical --bind "127.0.0.1:$port" "with_$1:app" & ;;
    waitress) venv/bin/waitress-serve --listen "127.0.0.1:$port" "with_$1:app" >/dev/null 2>&1 & ;;
  esac
  server=$!
  body=$(curl -s --retry 20 --retry-connrefused --retry-delay 1 \
    -H 'Transfer-Encoding: chunked' --data '{}' "http://127.0.0.1:$port/")
  kill "$server"
  wait "$server" || true
  server=
  echo "$1 $2 $body" | tee -a seen
}
body_seen django gunicorn
body_seen django waitress
body_seen flask gunicorn
diff seen - <<'SEEN'
django gunicorn b''
django waitress b'{}'
flask gunicorn b'{}'
SEEN
