#!/bin/sh
# The routes that take a body, as lines of nginx.conf's map: a key of method and path, and 1.
#
#   sh deploy/nginx/bodies.sh [gateway/api/<name>.c..]
set -eu
[ $# -gt 0 ] || set -- "$(dirname "$0")"/../../gateway/api/*.c
# A row to a line; of those with a limit, method and pattern; a parameter is any segment.
cat "$@" | tr '\n' ' ' | sed -E 's/\{"(GET|POST|PUT|DELETE)", "/\n&/g' | grep -F '.body_max' |
    sed -nE 's|^\{"([A-Z]+)", "([^"]+)".*|\1 \2|p' | sed -E 's|\{[^}]*\}|[^/?]*|g' |
    while IFS= read -r route; do
        printf '        "~^%s(\?|$)" 1;\n' "$route"
    done
