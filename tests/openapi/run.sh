#!/bin/sh
# Holds a running orchestrator to its own OpenAPI document.
#
#   CTX_TOKEN=... tests/openapi/run.sh http://127.0.0.1:7700 [FENCE]
#
# First as an operator without the lease, with good and bad requests to every operation; then, where
# the fence of a lease is given, with good requests to the operations that need one. It changes the
# orchestrator's configuration: use one that nobody needs.

set -eu

url=$1
here=$(dirname "$0")

check() {
    "${CTX_PYTHON:-python3}" -m schemathesis.cli --config-file "$here/schemathesis.toml" \
        run "$url/openapi.json" --checks all --phases examples,coverage,fuzzing \
        --max-examples 30 --no-shrink --seed 1 --warnings off \
        --header "Authorization: Bearer $CTX_TOKEN" "$@"
}

check
if [ $# -gt 1 ]; then
    check --mode positive --header "Ctx-Fence: $2" --header 'If-Match: "1"' \
        --phases fuzzing --include-path-regex '^/v1/(revisions|cache|legacy|operations)'
fi
