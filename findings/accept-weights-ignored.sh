#!/usr/bin/env bash
# Gin 1.12.0 for Go and Django REST framework 3.18.3 answer with JSON to a client whose `Accept` refuses it by a weight of 0.
#
# RFC 9110, section 12.4.2: of two media types the one with the higher weight is preferred, and a weight of 0 means that it is
# not acceptable; section 12.5.1 has this for `Accept`. Gin takes the first type of the header that it has, Django REST
# framework the first of its own that is named at all, as its page on content negotiation says. A client that prefers NDJSON
# or CloudEvents and takes JSON if need be can get JSON. Werkzeug 3.1.9, which is Flask's, and Express 5.3.0 follow the RFC.
#
# Output seen 2026-12-01, of a server that has both:
#   application/json;q=0, application/xml: gin json, drf json, werkzeug xml, express xml
#   application/json;q=0.1, application/xml: gin json, drf json, werkzeug xml, express xml
#   */*;q=0.1, application/xml: gin json, drf xml, werkzeug xml, express xml
#   application/xml, application/json;q=0.5: gin xml, drf json, werkzeug xml, express xml
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check django==5.2.19 djangorestframework==3.18.3 werkzeug==3.1.9
npm install --silent --no-audit --no-fund express@5.3.0 >/dev/null
cat >show.go <<'GO'
package main

import (
	"fmt"
	"net/http/httptest"
	"os"

	"github.com/gin-gonic/gin"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	context, _ := gin.CreateTestContext(httptest.NewRecorder())
	context.Request = httptest.NewRequest("GET", "/", nil)
	context.Request.Header.Set("Accept", os.Args[1])
	fmt.Println(context.NegotiateFormat("application/json", "application/xml"))
}
GO
cat >show.cjs <<'JAVASCRIPT'
const express = require('express')

const server = express()
  .get('/', (request, response) => response.send(request.accepts(['application/json', 'application/xml'])))
  .listen(0, '127.0.0.1', async () => {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { Accept: process.argv[2] } })
    console.log(await answer.text())
    process.exit()
  })
JAVASCRIPT
cat >show.py <<'PYTHON'
import sys

import django
from django.conf import settings
from django.test import RequestFactory
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

REST = {"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []}
settings.configure(ROOT_URLCONF=__name__, REST_FRAMEWORK=REST)
django.setup()

from rest_framework.renderers import BaseRenderer, JSONRenderer  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class XMLRenderer(BaseRenderer):
    media_type = "application/xml"
    format = "xml"


class View(APIView):
    renderer_classes = (JSONRenderer, XMLRenderer)

    def get(self, request):
        return Response(headers={"Chosen": request.accepted_renderer.media_type})


accept = sys.argv[1]
print(View.as_view()(RequestFactory().get("/", headers={"Accept": accept}))["Chosen"])
types = Request(EnvironBuilder(headers={"Accept": accept}).get_environ()).accept_mimetypes
print(types.best_match(["application/json", "application/xml"]))
PYTHON
export GOFLAGS=-mod=mod GOPATH="$folder/go"
go mod init show >/dev/null 2>&1
go get github.com/gin-gonic/gin@v1.12.0 >/dev/null 2>&1
go build -o show show.go
while read -r accept; do
  mapfile -t python < <(venv/bin/python show.py "$accept")
  chosen="$accept: gin $(./show "$accept"), drf ${python[0]}, werkzeug ${python[1]}, express $(node show.cjs "$accept")"
  for name in gin drf werkzeug express; do chosen=${chosen/"$name application/"/"$name "}; done
  echo "$chosen"
done <<'ACCEPTS' | tee seen
application/json;q=0, application/xml
application/json;q=0.1, application/xml
*/*;q=0.1, application/xml
application/xml, application/json;q=0.5
ACCEPTS
diff seen - <<'SEEN'
application/json;q=0, application/xml: gin json, drf json, werkzeug xml, express xml
application/json;q=0.1, application/xml: gin json, drf json, werkzeug xml, express xml
*/*;q=0.1, application/xml: gin json, drf xml, werkzeug xml, express xml
application/xml, application/json;q=0.5: gin xml, drf json, werkzeug xml, express xml
SEEN
