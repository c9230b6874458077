"""Evaluates flags of every type with the OpenFeature SDK and its OFREP provider.

Usage: typed.py URL TOKEN, with a JSON list on standard input:
[{"ask": "string", "key": ..., "user": ... or null, "context": {...}, "default": ...}, ...]

Prints the list of what the SDK says. The token goes by `X-API-Key`.
"""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

url, token = sys.argv[1:]
api.set_provider(OFREPProvider(url, headers_factory=lambda: {"X-API-Key": token}))
client = api.get_client()


def answer(question):
    context = EvaluationContext(question["user"], question["context"])
    ask = getattr(client, f"get_{question['ask']}_details")
    found = ask(question["key"], question["default"], context)
    return {
        "value": found.value,
        "variant": found.variant,
        "reason": str(found.reason),
        "error": found.error_code.value if found.error_code else None,
        "metadata": dict(found.flag_metadata),
    }


print(json.dumps([answer(question) for question in json.load(sys.stdin)]))
