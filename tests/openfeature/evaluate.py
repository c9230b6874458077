"""Evaluates flags with the OpenFeature SDK and its OFREP provider.

Usage: evaluate.py URL TOKEN FLAG USER...

Prints one JSON document: for each user whether the flag is on, and how other questions end.
"""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

url, token, flag, *users = sys.argv[1:]


def client_with(token):
    headers = {"Authorization": f"Bearer {token}"}
    api.set_provider(OFREPProvider(url, headers_factory=lambda: headers))
    return api.get_client()


def details(client, key, user, ask="boolean", default=False):
    context = EvaluationContext(targeting_key=user, attributes={"team": "blue"})
    found = getattr(client, f"get_{ask}_details")(key, default, context)
    return {
        "value": found.value,
        "reason": str(found.reason),
        "variant": found.variant,
        "error": found.error_code.value if found.error_code else None,
        "metadata": dict(found.flag_metadata),
    }


client = client_with(token)
result = {
    "users": {user: details(client, flag, user) for user in users},
    "missing": details(client, "no-such-flag", "ada"),
    "wrong_type": details(client, flag, "ada", "string", "fallback"),
}
result["stranger"] = details(client_with("wrong"), flag, "ada", default=True)
print(json.dumps(result))
