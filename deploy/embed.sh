#!/bin/sh
# Makes one C string of a Lua function library: embed.sh NAME FILE..  Comments and blank lines are
# left out: the text travels to the server at every connect.
set -eu
name=$1
shift
printf '/* made by deploy/embed.sh of %s */\n' "$*"
printf 'extern const char %s_library[];\n' "$name"
printf 'const char %s_library[] =\n' "$name"
printf '    "#!lua name=kassa_%s\\n"\n' "$name"
cat "$@" | sed -e '/^[[:space:]]*--/d' -e '/^[[:space:]]*$/d' \
    -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/'
printf '    ;\n'
