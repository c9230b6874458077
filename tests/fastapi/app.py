"""A FastAPI app that receives Linear, GitHub and Slack webhooks: the service before a migration.

The same surface as the legacy app inside ctx (src/rehearsal/legacy/surface.rs), on the framework
that the real one uses. Events of known and of unknown types are acknowledged with 200; a payload
that a model refuses raises in the handler, and so becomes a 500. `GET /_handled` lists the
delivery id of every event that was acknowledged, with how often it came.

Run it with `uvicorn app:app`, one worker: the record is in the memory of the process. With
`APP_DATABASE=FILE` it is in that SQLite database too, which a migration can back up.
"""

import json
import os
import sqlite3
from collections import Counter
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, StrictStr, ValidationError

app = FastAPI(title="Contexten")
handled: Counter[str] = Counter()

database = None
if path := os.environ.get("APP_DATABASE"):
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("CREATE TABLE IF NOT EXISTS events (delivery TEXT, source TEXT, kind TEXT)")

HOME = """<!DOCTYPE html>
<html>
<head><title>Contexten</title></head>
<body><h1>Contexten</h1><p>Linear, GitHub and Slack events.</p></body>
</html>
"""


class Event(BaseModel):
    """What every platform's event may have besides what its own model names."""

    model_config = ConfigDict(extra="allow")


Model = TypeVar("Model", bound=Event)


class LinearEvent(Event):
    type: StrictStr
    action: StrictStr


class GithubEvent(Event):
    pass


class SlackEvent(Event):
    type: StrictStr
    challenge: Any = None
    event: Any = None
    event_id: Any = None


class Refused(Exception):
    """A handler raised because a payload is not what its model accepts."""


@app.exception_handler(Refused)
async def refused(_: Request, error: Refused) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=500)


async def parse(request: Request, model: type[Model]) -> Model:
    try:
        payload = json.loads(await request.body())
    except ValueError:
        raise Refused("the payload is not JSON") from None
    if not isinstance(payload, dict):
        raise Refused("the payload is not an object")
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        first = error.errors()[0]
        what = "missing" if first["type"] == "missing" else "not text"
        raise Refused(f"{model.__name__}: {first['loc'][0]} is {what}") from None


def taken(source: str, kind: str, known: bool, delivery: Any) -> dict[str, str]:
    if isinstance(delivery, str):
        handled[delivery] += 1
        if database:
            database.execute("INSERT INTO events VALUES (?, ?, ?)", (delivery, source, kind))
    if known:
        return {"message": f"{source} event {kind} handled"}
    return {"message": f"no handler for {source} event {kind}"}


@app.get("/", response_class=HTMLResponse)
async def home() -> str:
    return HOME


@app.post("/linear/events")
async def linear(request: Request) -> dict[str, str]:
    event = await parse(request, LinearEvent)
    known = event.type in {"Issue", "Comment"}
    delivery = request.headers.get("linear-delivery")
    return taken("Linear", f"{event.type}.{event.action}", known, delivery)


@app.post("/github/events")
async def github(request: Request) -> dict[str, str]:
    await parse(request, GithubEvent)
    kind = request.headers.get("x-github-event", "unknown")
    known = kind in {"push", "pull_request", "check_run", "issues"}
    return taken("GitHub", kind, known, request.headers.get("x-github-delivery"))


@app.post("/slack/events")
async def slack(request: Request) -> dict[str, Any]:
    event = await parse(request, SlackEvent)
    if event.type == "url_verification":
        return {"challenge": event.challenge}
    if event.type != "event_callback":
        return taken("Slack", event.type, False, None)
    kind = event.event.get("type") if isinstance(event.event, dict) else None
    kind = kind if isinstance(kind, str) else "unknown"
    return taken("Slack", kind, kind in {"app_mention", "message"}, event.event_id)


@app.get("/_handled")
async def list_handled() -> dict[str, int]:
    return dict(handled)
