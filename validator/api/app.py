"""The HTTP application: routes, the one shape of errors, and a documentation page without third parties.

`validator/api/serve.py` runs it and tests call it in process. It opens the ledger read-only, holds no key
and never answers with anything that the ledger does not hold.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from shared.errors import AgonError
from shared.protocol.api import ErrorBody
from validator.api.reading import Reading
from validator.api.reference import render_reference
from validator.api.routes import health_router, router

STATUS = {"not_found": 404, "no_data": 404, "usage": 422, "ledger_missing": 503, "internal": 500}
"""HTTP status by error code; any other code is a fault of this validator: 500."""

DESCRIPTION = (
    "Scores of one Agon validator with the evidence behind them. Numbers are finite; what is not known is"
    " null; what is sealed says when it opens. Statements are signed by the validator's hotkey."
)


def create_app(
    ledger_url: str, *, clock: Callable[[], float] = time.time, block_time_s: float = 12.0
) -> FastAPI:
    """The API over the ledger at `ledger_url`, which need not exist yet."""
    reading = Reading(url=ledger_url, clock=clock, block_time_s=block_time_s)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        reading.close()

    # FastAPI's own pages load scripts from a CDN
    app = FastAPI(
        title="Agon validator",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.reading = reading
    app.include_router(health_router)
    app.include_router(router)
    _add_error_shapes(app)

    @app.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    def docs() -> str:
        return render_reference(app.openapi())

    return app


def answer_error(error: AgonError) -> JSONResponse:
    """An error of ours as a response."""
    return JSONResponse(
        ErrorBody.model_validate(error.to_dict()).model_dump(mode="json"), STATUS.get(error.code, 500)
    )


def _add_error_shapes(app: FastAPI) -> None:
    @app.exception_handler(AgonError)
    def ours(_request: Request, error: AgonError) -> JSONResponse:
        return answer_error(error)

    @app.exception_handler(SQLAlchemyError)
    def unreadable(_request: Request, error: SQLAlchemyError) -> JSONResponse:
        message = f"the ledger cannot be read: {type(error).__name__}"
        return answer_error(AgonError("ledger_missing", message))

    @app.exception_handler(RequestValidationError)
    def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [f"{item['loc'][-1]}: {item['msg']}" for item in error.errors()]
        return answer_error(AgonError("usage", "; ".join(faults), help="see /docs for each parameter"))

    @app.exception_handler(HTTPException)
    def unrouted(request: Request, error: HTTPException) -> JSONResponse:
        code = "not_found" if error.status_code == 404 else "usage"
        message = f"{request.method} {request.url.path}: {str(error.detail).lower()}"
        response = answer_error(AgonError(code, message, help="see /docs for what is served"))
        response.status_code = error.status_code
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    def broken(_request: Request, _error: Exception) -> JSONResponse:
        # the server logs the traceback; a caller learns nothing of the inside
        return answer_error(AgonError("internal", "this request hit an error of the validator's"))
