#!/bin/sh
# The list of the route tables, as C: each gateway/api/<name>.c defines <name>_routes. So a new
# capability is a new file there, and nothing else.
#
#   sh gateway/api.sh gateway/api/*.c
set -eu
printf '/* Made by gateway/api.sh. */\n#include "gateway/routes.h"\n\n'
names=
for file; do
    name=$(basename "$file" .c)
    names="$names $name"
    printf 'extern const struct route_table %s_routes;\n' "$name"
done
printf '\nconst struct route_table *const route_tables[] = {\n'
for name in $names; do
    printf '    &%s_routes,\n' "$name"
done
printf '};\nconst unsigned route_table_count = sizeof(route_tables) / sizeof(route_tables[0]);\n'
