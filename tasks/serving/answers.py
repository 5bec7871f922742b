"""What a request with a mistake is told: the sentence that says what is wrong, without the rows that were sent."""

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BEFORE, _AFTER = "Failed to predict data", "\nError: "
"""What MLflow puts round the sentence, with all rows of the request between."""


def plainly(app: ASGIApp) -> ASGIApp:
    """An application of MLflow's whose answers to bad requests hold none of what was asked.

    Args:
        app: MLflow's scoring server.
    """

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        begun: list[Message] = []

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 400:
                begun.append(message)
            elif begun:
                start, body = begun.pop(), sentence(message["body"])
                headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
                await send({**start, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
                await send({**message, "body": body})
            else:
                await send(message)

        await app(scope, receive, told)

    return inside


def sentence(body: bytes) -> bytes:
    """An error of MLflow's with its last sentence alone, where it holds the request's rows."""
    try:
        error = json.loads(body)
        message = error["message"]
    except (ValueError, TypeError, KeyError):
        return body
    if not message.startswith(_BEFORE) or _AFTER not in message:
        return body
    return json.dumps({**error, "message": message.rpartition(_AFTER)[2]}, ensure_ascii=False).encode()
