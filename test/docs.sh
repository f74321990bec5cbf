#!/bin/sh
# The documents say what the tables in the source say.
#
#   sh test/docs.sh           checks: prints what differs or is missing; exits 1 when there is any
#   sh test/docs.sh --write   writes the tables anew, between their marks:
#
#   catalogue/, saga/definition.h -.
#   <room>/conf.h, runtime/err.h --+--> <!-- begin NAME --> .. <!-- end NAME -->
#
# What has no table in the source (routes, metrics, events of the log, states) has to be named in
# the document that tells about it. What documents and comments cite has to be there (test/cites.sh).
set -eu
cd "$(dirname "$0")/.."
protocol=docs/protocol.md
operations=docs/operations.md
status=0
services=$(awk '/^[a-z]/ {print $1}' services)
work=$(mktemp -d "${TMPDIR:-/tmp}/kassa-docs.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# rows FILE MACRO: the X(..) of a table, one a line, cells separated by tabs, quotes gone.
# A comment between them is a line of its own: a heading.
rows() {
    awk -v macro="$2" '
        index($0, "#define " macro "(X)") == 1 { is_inside = 1; next }
        is_inside {
            is_last = !sub(/[ \t]*\\$/, "")
            text = text " " $0
            if (is_last) { exit }
        }
        END {
            gsub(/"  +"|" "/, "", text) # adjacent literals are one
            gsub(/ X\(/, "\n", text)
            gsub(/\/\* */, "\n# ", text)
            gsub(/ *\*\//, "", text)
            print text
        }' "$1" | awk '
        /^ *$/ { next }
        /^#/ { sub(/^# /, ""); sub(/ +$/, ""); print "#\t" $0; next }
        {
            sub(/\) *$/, "")
            line = ""
            is_quoted = 0
            for (i = 1; i <= length($0); i++) {
                c = substr($0, i, 1)
                if (c == "\"") { is_quoted = !is_quoted; continue }
                if (c == "," && !is_quoted) { c = "\t"; while (substr($0, i + 1, 1) == " ") i++ }
                line = line c
            }
            print line
        }'
}

# conf_readers MACRO ROW: the processes that list the row's table (<name>_conf_table; of an address
# ADDRESS_<FIELD>) in <process>_tables, or in CONSUMER_TABLES and that there.
conf_readers() {
    table=$(printf '%s_table' "$1" | tr '[:upper:]' '[:lower:]')
    if [ "$1" = ADDRESS_CONF ]; then
        table=ADDRESS_$(printf '%s' "$2" | cut -f 2 | tr '[:lower:]' '[:upper:]')
    fi
    is_consumers=$(sed -n '/#define CONSUMER_TABLES/,/[^\\]$/p' consumer/consumer.h | grep -cw "$table" || true)
    found=''
    for process in $services audit; do
        list=$(sed -n "/ ${process}_tables\\[\\] = {/,/;/p" "$process"/*.c)
        if printf '%s' "$list" | grep -qw "$table" ||
            { [ "$is_consumers" -gt 0 ] && printf '%s' "$list" | grep -q CONSUMER_TABLES; }; then
            found="$found${found:+, }$process"
        fi
    done
    printf '%s' "$found" | sed "s/^$(echo "$services" | paste -sd , | sed 's/,/, /g')/every service/"
}

# table NAME: the Markdown table, as it stands between the marks.
table() {
    case $1 in
    messages)
        printf '| type | fields it must have | what it is |\n|---|---|---|\n'
        sed -n '/^#define MESSAGE_TYPES(X)/,/[^\\]$/p' catalogue/message.h | grep -oE '[A-Z]+_MESSAGES' |
            while read -r macro; do
                [ "$macro" = MORE_MESSAGES ] || # a test's own
                    rows "$(grep -l "^#define $macro(X)" catalogue/*.h)" "$macro"
            done | awk -F'\t' '
            $1 == "#" { printf "| **%s** | | |\n", $2; next }
            {
                gsub(/ *\| */, " ", $3); gsub(/M\(/, "`", $3); gsub(/\)/, "`", $3)
                printf "| `%s` | %s | %s |\n", $2, $3, $4
            }'
        ;;
    fields)
        printf '| field | kind | what it is |\n|---|---|---|\n'
        rows catalogue/fields.h CATALOGUE_FIELDS | awk -F'\t' '{ printf "| `%s` | %s | %s |\n", $2, $1, $3 }'
        ;;
    queues)
        printf '| queue | kind | bound | consumer | what it carries |\n|---|---|---|---|---|\n'
        rows catalogue/queues.h CATALOGUE_QUEUES | awk -F'\t' '
            { printf "| `%s` | %s | %s | %s | %s |\n", $2, tolower($3), $4 ? $4 : "none", $5, $6 }'
        ;;
    events)
        printf '| event | what has happened |\n|---|---|\n'
        rows saga/definition.h SAGA_EVENTS | awk -F'\t' '{ printf "| `%s` | %s |\n", $2, $3 }'
        ;;
    crash)
        printf '| point | each | what has happened by then |\n|---|---|---|\n'
        rows runtime/crash.h CRASH_POINTS | awk -F'\t' '
            $1 == "#" { printf "| **%s** | | |\n", $2; next }
            { printf "| `%s` | %s | %s |\n", $1, $2 == "COMMAND" ? "command" : "", $4 }'
        ;;
    errors)
        printf '| code | what follows | what it is |\n|---|---|---|\n'
        rows runtime/err.h ERR_TABLE |
            awk -F'\t' '{ sub(/^ERR_/, "", $2); printf "| `%s` | %s | %s |\n", $1, $2, $3 }'
        ;;
    conf)
        printf '| variable | read by | default | allowed | what it is |\n|---|---|---|---|---|\n'
        grep -oE '^#define [A-Z]+_CONF\(X\)' ./*/*.h | sed 's/(X)//; s/:#define / /' |
            while read -r file macro; do
                rows "$file" "$macro" | while IFS= read -r row; do
                    printf '%s\t%s\n' "$(conf_readers "$macro" "$row")" "$row"
                done
            done | awk -F'\t' '{
                kind = $2 == "INT" ? "" : $2 == "SECRET" ? " bytes, never printed" : " bytes"
                printf "| `%s` | %s | %s | %s..%s%s | %s |\n", $4, $1,
                    $5 == "" ? "empty" : "`" $5 "`", $6, $7, kind, $8
            }'
        ;;
    esac
}

# table_of DOCUMENT NAME: what the document has between the marks.
table_of() {
    awk -v name="$2" '
        $0 == "<!-- end " name " -->" { is_inside = 0 }
        is_inside
        $0 == "<!-- begin " name " -->" { is_inside = 1 }' "$1"
}

check_table() {
    table "$2" >"$work/source"
    table_of "$1" "$2" >"$work/document"
    if [ "$(wc -l <"$work/source")" -lt 4 ]; then
        printf 'test/docs.sh cannot read the source of the table %s\n' "$2"
        status=1
    elif ! diff "$work/document" "$work/source" >"$work/diff"; then
        printf '%s: the table %s differs from the source (>); sh test/docs.sh --write mends it\n' \
            "$1" "$2"
        cat "$work/diff"
        status=1
    fi
}

write_table() {
    table "$2" >"$work/source"
    awk -v name="$2" -v file="$work/source" '
        $0 == "<!-- end " name " -->" { is_inside = 0 }
        !is_inside
        $0 == "<!-- begin " name " -->" {
            is_inside = 1
            while ((getline line < file) > 0) { print line }
        }' "$1" >"$work/document"
    cat "$work/document" >"$1"
}

# named DOCUMENT WHAT: each line of $work/names has to be in the document, in backticks.
# Not behind a pipe: it would set the status of a shell of its own.
named() {
    if [ ! -s "$work/names" ]; then
        printf 'test/docs.sh finds no %s in the source\n' "$2"
        status=1
    fi
    while IFS= read -r name; do
        if ! grep -qF -e "\`$name\`" -e "\`$name?" "$1"; then
            printf '%s: %s %s is missing\n' "$1" "$2" "$name"
            status=1
        fi
    done <"$work/names"
}

for name in messages fields queues events errors conf crash; do
    document=$protocol
    [ "$name" != conf ] || document=$operations
    [ "$name" != crash ] || document=docs/testing.md
    if [ "${1:-}" = --write ]; then
        write_table "$document" "$name"
    else
        check_table "$document" "$name"
    fi
done

# Not of a document, but with marks all the same.
front=deploy/nginx/nginx.conf
sh deploy/nginx/bodies.sh >"$work/bodies"
if [ "${1:-}" = --write ]; then
    awk -v file="$work/bodies" '
        $1 == "#" && $2 == "end" && $3 == "bodies" { is_inside = 0 }
        !is_inside
        $1 == "#" && $2 == "begin" && $3 == "bodies" {
            is_inside = 1
            while ((getline line < file) > 0) { print line }
        }' $front >"$work/front"
    cat "$work/front" >$front
elif ! awk '/# end bodies/ { is_inside = 0 } is_inside; /# begin bodies/ { is_inside = 1 }' $front |
    diff - "$work/bodies" >"$work/diff"; then
    printf '%s: the routes with a body differ from gateway/api (>); sh test/docs.sh --write mends it\n' $front
    cat "$work/diff"
    status=1
fi

rooms="runtime broker store catalogue idempotency consumer saga $(echo "$services" | tr '\n' ' ')"
# shellcheck disable=SC2086  # a list of rooms
sources() {
    grep -rhoE --include='*.[ch]' "$1" $rooms
}

grep -hoE '"/[^"]*"' gateway/api/*.c | tr -d '"' | grep '^/[a-z]' >"$work/names"
named README.md route

sources '"kassa_[a-z_]+"' | tr -d '"' | sort -u >"$work/names"
named $operations metric

cp "$work/names" "$work/metrics"
for file in deploy/compose/alerts.yml deploy/compose/grafana.json; do
    grep -oE 'kassa_[a-z_]+' "$file" | sed 's/_seconds_bucket$/_seconds/' | sort -u >"$work/names"
    if ! comm -23 "$work/names" "$work/metrics" | sed "s|^|$file: there is no metric |" >"$work/diff" ||
        [ -s "$work/diff" ] || [ ! -s "$work/names" ]; then
        cat "$work/diff"
        status=1
    fi
done

{
    sources 'log_(debug|info|warn|error)\("[a-z_]+"'
    sources 'log_write\([^"]*"[a-z_]+" *: *"[a-z_]+"'
    sources 'log_warn\(is_[a-z]+ \? "[a-z_]+" : "[a-z_]+"'
    sources 'connection_say\([^"]*"[a-z_]+"( : "[a-z_]+")?'
} | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u >"$work/names"
named $operations 'event of the log'

# A key that every service has is told of as <service>:<part>.
grep -oE 'X\([a-z_]+, "[^"]+"' catalogue/names.h | cut -d '"' -f 2 | while read -r key; do
    grep -qE "\`(<[a-z]+>|[a-z]*)${key#order}" $protocol || printf '%s\n' "$key"
done >"$work/missing"
if [ -s "$work/missing" ]; then
    printf '%s: a key of catalogue/names.h is missing: %s\n' $protocol "$(cat "$work/missing")"
    status=1
fi

grep -hoE '(acting|compensating|cancelling|stuck|completed|aborted) = "[A-Z]+"' checkout/checkout.c |
    grep -oE '[A-Z]+' | sort -u >"$work/names"
named $protocol state

sh test/cites.sh || status=1

exit $status
