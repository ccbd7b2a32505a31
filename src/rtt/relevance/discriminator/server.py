"""The server of a discriminator: texts in, relevance out, one request at a time on its device.

    GET  /v1/discriminator    {"fingerprint", "architecture", "window"}
    POST /v1/relevance        see :mod:`rtt.relevance.discriminator.served`

Who asks names no file and sends no program: a request is two lists of texts and a number, all of bounded size. There is
no key, so it should be reached from this machine or a network of one's own alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rtt.endpoints import first_problem
from rtt.relevance.discriminator.served import (
    FINGERPRINT_HEADER,
    MAX_BATCH_TOKENS,
    MAX_BODY_BYTES,
    MAX_CRITERIA,
    MAX_SCORES,
    MAX_TEXTS,
    encoded,
)

MAX_CONNECTIONS = 256
"""The most connections at once, which bound what requests hold in memory; others are answered 503, and ask again."""

CLIENT_CLOSED_REQUEST = 499
"""The status of an answer that nobody waits for any more, as nginx has it."""


class RelevanceRequest(BaseModel):
    """What is asked: for each text its criteria."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    criteria: list[list[str]]
    texts: Annotated[list[str], Field(max_length=MAX_TEXTS)]
    batch_tokens: Annotated[int, Field(ge=1, le=MAX_BATCH_TOKENS)]

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if len(self.criteria) != len(self.texts):
            raise ValueError(f"{len(self.criteria)} lists of criteria for {len(self.texts)} texts")
        asked_for = sum(map(len, self.criteria))
        if asked_for > MAX_CRITERIA:
            raise ValueError(f"{asked_for:,} criteria, more than {MAX_CRITERIA:,}; ask in several requests")
        scores = sum(len(asked) * len(text) for asked, text in zip(self.criteria, self.texts, strict=True))
        if scores > MAX_SCORES:
            raise ValueError(f"{scores:,} criteria x characters, more than {MAX_SCORES:,}; ask in several requests")
        return self


def application(discriminator: Any, fingerprint: str) -> Starlette:
    """The server as an ASGI application.

    Args:
        discriminator: a :class:`rtt.relevance.discriminator.Discriminator`, used by one thread at a time.
        fingerprint: what names it.
    """
    headers = {FINGERPRINT_HEADER: fingerprint}

    async def describe(_: Request) -> Response:
        settings = discriminator.settings
        told = {"fingerprint": fingerprint, "architecture": settings.architecture, "window": discriminator.window}
        return JSONResponse(told, headers=headers)

    one_at_a_time = CapacityLimiter(1)

    def score(asked: RelevanceRequest) -> bytes:
        return encoded(discriminator.tokens(asked.criteria, asked.texts, batch_tokens=asked.batch_tokens))

    async def relevance(request: Request) -> Response:
        try:
            asked = RelevanceRequest.model_validate_json(await _body(request))
        except ValidationError as error:
            raise HTTPException(400, first_problem(error)) from None
        async with one_at_a_time:
            if await request.is_disconnected():  # it waited too long, or was stopped
                return Response(status_code=CLIENT_CLOSED_REQUEST)
            answer = await run_sync(score, asked)
        return Response(answer, media_type="application/octet-stream", headers=headers)

    return Starlette(
        routes=[Route("/v1/discriminator", describe), Route("/v1/relevance", relevance, methods=["POST"])],
    )


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the request is longer than {MAX_BODY_BYTES:,} bytes")
    return bytes(body)
