"""The server's paths. The one module that imports fastapi as a whole; imported by who serves."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from seglock.serving.server.answers import Question
from seglock.serving.server.batches import Batcher
from seglock.serving.server.limits import RequestError, ServerLimits, read_body, skip_body
from seglock.serving.server.metrics import Metrics

_NOT_KEPT = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_INTERNAL = {"error": "an answer must be possible, got an error inside; the server's log names it"}


def paths(batcher: Batcher, metrics: Metrics, description: bytes, limits: ServerLimits) -> FastAPI:
    """The application behind the gate: what each path answers.

    Without FastAPI's own pages, which would describe this process to everyone who asks, and
    without its parameters, whose faults it answers with what was sent.
    """
    predict = Route("/predict", _Predict(batcher, limits), methods=["POST"])
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, routes=[predict]
    )

    @app.get("/description")
    async def describe() -> Response:
        return Response(description, media_type="application/json")

    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"alive": True})

    @app.get("/ready")
    async def ready() -> Response:
        free = batcher.has_place
        return JSONResponse({"ready": free}, 200 if free else 503)

    @app.get("/metrics")
    async def measure() -> Response:
        text, kind = metrics.text()
        return Response(text, media_type=kind)

    @app.exception_handler(RequestError)
    async def refuse(_request: Request, refusal: RequestError) -> Response:
        return refused(refusal)

    @app.exception_handler(HTTPException)
    async def no_such(_request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def fail(_request: Request, _error: Exception) -> Response:
        return JSONResponse(_INTERNAL, 500)

    return app


class _Predict:
    """POST /predict, plain ASGI: FastAPI's way to a function takes as long as a small network."""

    def __init__(self, batcher: Batcher, limits: ServerLimits) -> None:
        self._batcher, self._limits = batcher, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, limits = scope["headers"], self._limits
        if not self._batcher.has_place:
            closing = await skip_body(headers, receive, limits.body_seconds)
            await refused(_full(limits), closing)(scope, receive, send)
            return
        with self._batcher.place():
            body = await read_body(
                headers, receive, most=limits.body_bytes, seconds=limits.body_seconds
            )
            check = b"check=no" not in scope["query_string"].split(b"&")
            png = await self._batcher.answer(Question(body, check))
        await Response(png, media_type="image/png", headers=_NOT_KEPT)(scope, receive, send)


def refused(refusal: RequestError, closing: Mapping[str, str] | None = None) -> Response:
    """The reply to a request that is not answered; ``closing``: what its headers say as well."""
    headers = {**_NOT_KEPT, **refusal.headers, **(closing or {})}
    return JSONResponse({"error": str(refusal)}, refusal.status, headers)


def _full(limits: ServerLimits) -> RequestError:
    return RequestError(
        503, f"at most {limits.queue} requests must be waiting", got="more",
        fix="try again after as long as Retry-After says", retry_after=1,
    )  # fmt: skip
