"""An extension of ctx: greets whoever sends an event. Needs nothing but Python's standard library.

`ctx serve --programs examples/extensions` runs it, once it is installed:

    ctx extension install examples/extensions/greeter.toml

It reads one JSON object a line from stdin and writes one a line to stdout; what it has to say to
people goes to stderr, which ends up in the orchestrator's log. docs/extensions.md has the protocol.
"""

import json
import os
import sys


def say(line):
    """Writes one line and sends it off: an answer in a buffer is no answer."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def sender(body):
    """Who sent the event, as far as its body says."""
    try:
        actor = json.loads(body).get("actor") or {}
        return actor.get("name") or "somebody"
    except (ValueError, AttributeError):
        return "somebody"


def handle(event, config):
    """Answers one event."""
    greeting = os.environ.get("GREETING", config["greeting"])
    text = f"{greeting}, {sender(event.get('body', ''))}"
    return {
        "type": "answer",
        "id": event["id"],
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"said": text, "delivery": event["delivery"]}),
    }


def main():
    config = {}
    for line in sys.stdin:
        message = json.loads(line)
        kind = message["type"]
        if kind == "start":
            config = message["config"]
            print(f"greeting with `{config['greeting']}`", file=sys.stderr)
            say({"type": "ready"})
        elif kind == "ping":
            say({"type": "pong", "id": message["id"]})
        elif kind == "event":
            say(handle(message, config))
        elif kind == "stop":
            return


main()
