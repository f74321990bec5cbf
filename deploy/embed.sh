#!/bin/sh
# Makes one struct library of a Lua function library: embed.sh NAME FILE..  Comments and blank
# lines are left out: the text travels to the server. Its hash is in the library's name and, by
# store/library.lua, in those of its functions, so that another text never replaces this one.
set -eu
name=$1
shift
text=$(sed -e '/^[[:space:]]*--/d' -e '/^[[:space:]]*$/d' "$@")
hash=$(printf '%s\n' "$name" "$text" | sha256sum | cut -c 1-8)
cat <<END
/* made by deploy/embed.sh of $* */
#include "store/library.h"
extern const struct library ${name}_library;
const struct library ${name}_library = {
    .name = "$name",
    .hash = "$hash",
    .source =
    "#!lua name=kassa_${name}_$hash\\n"
    "local LIBRARY, HASH = '$name', '$hash'\\n"
END
printf '%s\n' "$text" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/'
echo '};'
