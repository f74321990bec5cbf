#!/bin/sh
# The parts of these files that follow from the list `services`: parts.awk makes them.
#
#   sh deploy/generate/generate.sh           writes them anew
#   sh deploy/generate/generate.sh --check   prints what is stale; exits 1 when there is any
set -eu
cd "$(dirname "$0")/../.."
FILES='docker-compose.yml docker-compose.small.yml test/drill/shim/compose.yml deploy/compose/prometheus.yml
    deploy/compose/secrets.sh deploy/compose/redis.sh deploy/compose/rabbitmq.sh gateway/services.h'
status=0
new=$(mktemp "${TMPDIR:-/tmp}/kassa-generated.XXXXXX")
trap 'rm -f "$new"' EXIT
trap 'exit 130' INT TERM

# The broker's users may read what the list says; the programs read what the table of queues says.
list=$(awk '/^[a-z]/ && $5 != "-" {
    n = split($5, queue, ",")
    for (i = 1; i <= n; i++) { print "kassa." queue[i], $1 }
}' services | sort)
table=$(sed -nE 's/^ *X\([A-Z]+, "(kassa\.[a-z]+)", [A-Z]+, [^,]+, "([a-z]+)",.*/\1 \2/p' catalogue/queues.h | sort)
if [ "$list" != "$table" ]; then
    printf 'who consumes a queue is not the same in services:\n%s\nand in catalogue/queues.h:\n%s\n' \
        "$list" "$table"
    status=1
fi

for file in $FILES; do
    awk -f deploy/generate/parts.awk services "$file" >"$new"
    if [ "${1:-}" != --check ]; then
        cmp -s "$file" "$new" || cat "$new" >"$file"
    elif ! diff -u "$file" "$new" >"$new.diff"; then
        printf '%s is not what follows from services: make generate mends it\n' "$file"
        sed 1,2d "$new.diff"
        status=1
    fi
    rm -f "$new.diff"
done
exit $status
