"""The yardstick: a Starlette route that reads the body and answers like a receipt, on uvicorn with httptools.

`python -m tests.benchmark.bare PORT LOOP`, where LOOP is `uvloop` or `asyncio`.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def accept(request: Request) -> Response:
    """Read the body and promise nothing."""
    await request.body()
    return JSONResponse({"status": "accepted", "event_id": "01944aef-c880-7001-8203-040506070809"})


def main(port: int, loop: str) -> None:
    """Serve until terminated, with what the product leaves out left out here, too."""
    uvicorn.run(
        Starlette(routes=[Route("/webhooks/{source}", accept, methods=["POST"])]),
        port=port,
        loop=loop,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
