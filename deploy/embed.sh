#!/bin/sh
# Makes one struct library of a Lua function library: embed.sh NAME FILE..  Comments and blank
# lines are left out: the text travels to the server. Its hash is in the library's name and, by
# store/library.lua, in those of its functions, so that another text never replaces this one.
#
# Names of keys (KEY.order_order, PART.floor) become the texts of catalogue/names.h, with a text that
# they stand next to in one: so a name costs nothing in the store, and one that is not there is an
# error of the build.
set -eu
name=$1
shift

# rules MACRO LETTERS: a sed script that replaces LETTERS.name by the table's text.
rules() {
    awk -v macro="$1" -v letters="$2" '
        index($0, "#define " macro "(X)") == 1 { is_inside = 1; next }
        is_inside && match($0, /X\([a-z_]+, "[^"]*"/) {
            split(substr($0, RSTART + 2, RLENGTH - 2), cells, /, /)
            text = substr(cells[2], 2, length(cells[2]) - 2)
            key = letters "\\." cells[1] "\\b"
            print "s/'\'' \\.\\. " key "/" text "'\''/g"
            print "s/" key " \\.\\. '\''/'\''" text "/g"
            print "s/" key "/'\''" text "'\''/g"
        }
        is_inside && !/\\$/ { exit }' catalogue/names.h
}
names=$(rules NAMES_KEYS KEY && rules NAMES_PARTS PART)

text=$(sed -e '/^[[:space:]]*--/d' -e '/^[[:space:]]*$/d' "$@" | sed -e "$names")
if printf '%s\n' "$text" | grep -nE '\<(KEY|PART)\.' >&2; then
    echo "deploy/embed.sh: catalogue/names.h has no such name" >&2
    exit 1
fi
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
