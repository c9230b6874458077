"""An extension that does as its configuration tells it, for better or worse."""

import json
import os
import sys
import time


def say(line):
    sys.stdout.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
    sys.stdout.flush()


config = {}
sick = False
for line in sys.stdin:
    message = json.loads(line)
    kind = message["type"]
    if kind == "start":
        config = message["config"]
        sick = config.get("start") == "sick"
        start = config.get("start", "ready")
        if start == "exit":
            sys.exit("no reason to live")
        if start == "failed":
            say({"type": "failed", "detail": "the moon is not full"})
        if start == "nonsense":
            say("hello, world")
        if start in ("ready", "mute", "stubborn", "sick"):
            say({"type": "ready"})
    elif kind == "ping":
        if config.get("start") != "mute":
            say({"type": "pong", "id": message["id"]})
    elif kind == "event":
        wish = json.loads(message["body"]) if message.get("body", "").startswith("{") else {}
        do = wish.get("do", "answer")
        if do == "exit":
            sys.exit("it was asked to")
        if do == "spin":
            while True:
                pass
        if do == "sicken":
            sick = True
        if do == "sleep":
            time.sleep(wish["seconds"])
        if do == "hog":
            hog = bytearray(wish["bytes"])
        if do == "files":
            files = [open("/dev/null") for _ in range(wish["files"])]
        if do == "fork" and os.fork() == 0:
            time.sleep(600)
        if do == "nonsense":
            say("hello, world")
        if do == "flood":
            say("x" * (9 << 20))
        time.sleep(config.get("pause_ms", 0) / 1000)
        body = {"say": config.get("say", ""), "pid": os.getpid(), "config": config}
        if do == "tell":
            body.update({"env": dict(os.environ), "cwd": os.getcwd(), "event": message})
            body["limits"] = open("/proc/self/limits").read()
        say({"type": "answer", "id": message["id"], "status": 500 if sick else wish.get("status", 200),
             "headers": {"x-says": config.get("say", "")}, "body": json.dumps(body)})
    elif kind == "stop" and config.get("start") != "stubborn":
        break
if config.get("start") == "stubborn":
    time.sleep(600)
