#!/bin/sh
# The list of the route tables, as C: each gateway/api/<name>.c defines <name>_routes. So a new
# capability is a new file there, and nothing else.
#
#   sh gateway/routes.sh gateway/api/*.c
set -eu
printf '/* Made by gateway/routes.sh. */\n#include "gateway/routes.h"\n\n'
names=
for file; do
    name=$(basename "$file" .c)
    names="$names $name"
    printf 'extern const struct route_table %s_routes;\n' "$name"
done
printf '\nstatic const struct route_table *const tables[] = {\n'
for name in $names; do
    printf '    &%s_routes,\n' "$name"
done
printf '};\nconst struct route_list route_api = {tables, sizeof(tables) / sizeof(tables[0])};\n'
