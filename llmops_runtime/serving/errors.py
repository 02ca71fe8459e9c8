"""Errors in the shape that OpenAI's clients read, for everything that can go wrong in a request.

Used by engine and gateway. Promises: whatever a handler raises, a caller gets JSON with `error.message`, `type`,
`param` and `code`, and no traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from aiohttp import web

_LOG: Final = logging.getLogger(__name__)

_TYPES: Final = MappingProxyType(
    {404: "not_found_error", 405: "invalid_request_error", 413: "invalid_request_error", 429: "rate_limit_error"}
)
_CODES: Final = MappingProxyType({404: "unknown_path", 405: "method_not_allowed", 413: "request_too_large"})


class ApiError(Exception):
    """A request that is answered with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.headers = headers

    def body(self) -> dict[str, object]:
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> web.Response:
        return web.json_response(self.body(), status=self.status, headers=self.headers)


def bad_request(message: str, param: str | None = None, code: str = "invalid_value") -> ApiError:
    return ApiError(400, message, code=code, param=param)


@web.middleware
async def shape_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn what a handler raises into an answer. Nothing is added to an answer that has begun."""
    try:
        return await handler(request)
    except ApiError as error:
        return error.response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _from_aiohttp(request, error).response()
    except ConnectionError:
        raise  # the caller went away
    except Exception:  # noqa: BLE001  # process boundary: a bug is logged with its account, and told without
        _LOG.exception("%s %s failed", request.method, request.path)
        return ApiError(500, "something went wrong here; the log says more", code="internal_error").response()


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> ApiError:
    match error:
        case web.HTTPRequestEntityTooLarge():
            message = "the request body is longer than this service takes"
        case web.HTTPNotFound():
            message = f"there is nothing at {request.path}"
        case web.HTTPMethodNotAllowed():
            message = f"{request.path} does not take {request.method}, only {', '.join(sorted(error.allowed_methods))}"
        case _:
            message = error.reason
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return ApiError(error.status, message, code=_CODES.get(error.status, "invalid_request"), headers=allow)
