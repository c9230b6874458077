"""The Linear integration as a program of its own: the answers of the legacy app, without the app.

`linear.toml` beside this file is its manifest. Installed over an extension of the same id that an
upstream answers for, it takes over from one event to the next. Nothing but Python's standard
library; docs/extensions.md has the protocol.
"""

import json
import sys

KNOWN = ("Issue", "Comment")


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def handle(event):
    """The status and the JSON that an event is answered with."""
    try:
        payload = json.loads(event.get("body", ""))
        kind, action = payload["type"], payload["action"]
    except (ValueError, TypeError):
        return 500, {"detail": "the payload is not JSON"}
    except KeyError as missing:
        return 500, {"detail": f"LinearEvent: {missing.args[0]} is missing"}
    if kind in KNOWN:
        return 200, {"message": f"Linear event {kind}.{action} handled"}
    return 200, {"message": f"no handler for Linear event {kind}.{action}"}


def main():
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "start":
            say({"type": "ready"})
        elif message["type"] == "ping":
            say({"type": "pong", "id": message["id"]})
        elif message["type"] == "event":
            status, answer = handle(message)
            say({
                "type": "answer",
                "id": message["id"],
                "status": status,
                "headers": {"content-type": "application/json"},
                "body": json.dumps(answer),
            })
        elif message["type"] == "stop":
            return


main()
