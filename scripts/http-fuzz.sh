#!/usr/bin/env bash
# Sends the HTTP API what its OpenAPI document allows and what it does not, for SECONDS (60 unless said otherwise), and holds the answers
# against the document. The service behind it is made up (examples/fake_service.rs). Answers that never end are left out: tests/http has them.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "http-fuzz: $1" >&2; exit 1; }

seconds=${1:-60}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/http-fuzz
wanted=$PWD/scripts/http-fuzz-requirements.txt
mkdir -p "$work"
if ! cmp -s "$wanted" "$work/installed.txt"; then
    rm -rf "$work/venv" "$work/installed.txt"
    python3 -m venv "$work/venv" || fail "no virtual environment could be made (see above); install python3-venv and run again"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$wanted" || fail "schemathesis could not be had (see above); check the network and run again"
    cp "$wanted" "$work/installed.txt"
fi

cargo build --quiet --locked --example fake_service
"$target/debug/examples/fake_service" 127.0.0.1:0 2>"$work/service.log" &
service=$!
trap 'kill "$service" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    address=$(grep -om1 'http://[0-9.:]*/' "$work/service.log" || true)
    [ -z "$address" ] || break
    kill -0 "$service" 2>/dev/null || fail "the service did not start: $(cat "$work/service.log")"
    sleep 0.1
done
[ -n "$address" ] || fail "the service did not say its address within 10 s; $work/service.log has what it said"

config=$PWD/scripts/http-fuzz.toml
cd "$work"
venv/bin/st --config-file "$config" run "${address}api/v1/openapi.json" --exclude-path-regex 'events|mjpeg|previews' --request-timeout 20 \
    --continue-on-failure --max-time "$seconds" || fail "what is listed above does not hold"
kill -0 "$service" 2>/dev/null || fail "the service has ended: $(tail -n 20 "$work/service.log")"
