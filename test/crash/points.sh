#!/bin/sh
# Crash points: the table in runtime/crash.h and the calls in the sources are the same, each point
# is called once, as it is marked, and nothing of them is in a release binary.
# Prints what differs; exits 1 when there is anything.
set -eu
cd "$(dirname "$0")/../.."
status=0
work=$(mktemp -d "${TMPDIR:-/tmp}/kassa-points.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

sed -nE 's/^ *X\("([a-z_.]+)", (PLAIN|COMMAND), (AT|SENT), ".*/\1 \2 \3/p' runtime/crash.h |
    sort >"$work/table"
# crash_point("a") is PLAIN AT, crash_sent_of("a", kind) is COMMAND SENT, and so on
# shellcheck disable=SC2046  # rooms
grep -rhoE --include='*.c' '\bcrash_(point|sent)(_of)?\("[a-z_.]+"' runtime broker store catalogue idempotency consumer saga \
    $(awk '/^[a-z]/ {print $1}' services) |
    sed -E 's/^crash_(point|sent)(_of)?\("([a-z_.]+)"$/\3 \2 \1/
        s/ _of / COMMAND /; s/  / PLAIN /; s/ point$/ AT/; s/ sent$/ SENT/' |
    sort >"$work/calls"

if [ ! -s "$work/table" ]; then
    printf 'no point is found in runtime/crash.h\n'
    status=1
elif ! diff "$work/table" "$work/calls" >"$work/diff"; then
    printf 'crash points: the table (<) and the calls (>) differ\n'
    cat "$work/diff"
    status=1
fi
for binary in build/release/kassa-gateway build/release/kassa-order; do
    if [ -e "$binary" ] && grep -qE 'KASSA_CRASH|consumer\.ack\.before' "$binary"; then
        printf '%s has crash points\n' "$binary"
        status=1
    fi
done
exit $status
