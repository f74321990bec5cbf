#!/bin/sh
# The direction of includes: services -> checkout -> saga -> consumer -> idempotency -> catalogue
# -> store, broker -> runtime; and each outside library is included by one file, or by one adapter. And names of functions
# in the store, which end in a hash, are made in one place of C and in one of Lua. Prints every breach;
# exits 1 when there is one.
set -eu
cd "$(dirname "$0")/.."
status=0

# breach ROOM PATTERN: no file of ROOM may include a header that matches PATTERN. catalogue/names.h
# is a leaf: whoever has keys in a store may include it.
breach() {
    found=$(grep -rnE --include='*.[ch]' "^#include \"($2)/" "$1" |
        grep -v '#include "catalogue/names.h"' || true)
    if [ -n "$found" ]; then
        printf 'include against the direction:\n%s\n' "$found"
        status=1
    fi
}
list=$(awk '/^[a-z]/ {print $1}' services)
names=$(echo "$list" | paste -sd '|')
services="$names|audit|bench"
breach runtime "broker|store|catalogue|idempotency|consumer|saga|checkout|$services"
breach broker "store|catalogue|idempotency|consumer|saga|checkout|$services"
breach store "broker|catalogue|idempotency|consumer|saga|checkout|$services"
breach catalogue "idempotency|consumer|saga|checkout|$services"
breach idempotency "broker|consumer|saga|checkout|$services"
breach consumer "saga|checkout|$services"
breach saga "checkout|$services"
breach checkout "$services"
for one in $list; do
    others=$(echo "|$services|" | sed "s/|$one|/|/; s/^|//; s/|\$//")
    case $one in
    gateway | order) ;; # they begin a checkout, and drive it
    *) others="checkout|$others" ;;
    esac
    breach "$one" "$others"
done
breach audit "checkout|$names|bench"
breach bench "saga|checkout|$names|audit"

found=$(grep -n '^#include' catalogue/names.h || true
    grep -ln '#include "catalogue/names.h"' runtime/*.[ch] broker/*.[ch] || true)
if [ -n "$found" ]; then
    printf 'catalogue/names.h includes nothing, and the mechanism below the stores knows no key:\n%s\n' "$found"
    status=1
fi

# only FILE PATTERN: no other source may include a header that matches PATTERN
only() {
    found=$(grep -nE "^#include <($2)" ./*/*.[ch] ./gateway/api/*.c | grep -v "^./$1:" || true)
    if [ -n "$found" ]; then
        printf 'a library outside its room (%s):\n%s\n' "$1" "$found"
        status=1
    fi
}
only runtime/loop.c 'uv\.h'
only runtime/http_state.h 'microhttpd\.h'
only runtime/json.c 'json-c/'
only 'broker/amqp[_a-z]*\.[ch]' 'amqp'
only store/reader.c 'hiredis/'

found=$(grep -nE '"FCALL|redis\.register_function' ./*/*.[ch] ./*/*.lua test/live/*.lua |
    grep -vE '^./store/(library.c|library.lua):' || true)
if [ -n "$found" ]; then
    printf 'a function of a store without its hash (library_call, register):\n%s\n' "$found"
    status=1
fi

found=$(grep -nE "['\"](($names|kassa|%s)?:[a-z_]{3,}[:'\"%])" ./*/*.lua ./*/*.[ch] test/live/*.lua |
    grep -v '^./catalogue/names.h:' || true)
if [ -n "$found" ]; then
    printf 'a key of a store that is not from catalogue/names.h:\n%s\n' "$found"
    status=1
fi

exit $status
