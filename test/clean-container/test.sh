#!/usr/bin/env bash
# Inside a fresh clone: the tests, as the continuous integration runs them, leave nothing behind.
set -euo pipefail
status=0
.ci/run | tee /tmp/out || status=$?
if [ "$status" != 0 ]; then
    awk '/^[a-z]/ {print $1}' services | while read -r name; do
        log=var/test/system/$name.log
        printf '== %s\n' "$log"
        tail -n 60 "$log"
    done
fi
left=$(git status --porcelain)
if [ -n "$left" ]; then
    printf 'left in the tree:\n%s\n' "$left"
    status=1
fi
if ! tail -n 1 /tmp/out | grep -qE '^[0-9]+ passed, [0-9]+ failed$'; then
    echo 'the last line is not the count'
    status=1
fi
for comm in /proc/[0-9]*/comm; do
    if grep -qE '^(redis-server|beam.smp|epmd|kassa-.*)$' "$comm" 2>/dev/null; then
        echo "still running: $(cat "$comm")"
        status=1
    fi
done
exit $status
