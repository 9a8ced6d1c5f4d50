"""The yardstick: a Starlette route that reads the body and answers 200, on the product's own server."""

import sys

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from receiver.web.server import build_server


async def accept(request: Request) -> Response:
    """Read the body and promise nothing."""
    await request.body()
    return JSONResponse({"status": "ok"})


def main(port: int) -> None:
    """Serve until terminated."""
    app = Starlette(routes=[Route("/webhooks/{source}", accept, methods=["POST"])])
    server = build_server(app, host="127.0.0.1", port=port)
    print("listening soon", flush=True)
    uvloop.run(server.serve())


if __name__ == "__main__":
    main(int(sys.argv[1]))
