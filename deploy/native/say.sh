# shellcheck shell=bash
# What a person sees while the front door works: one line a step, with the seconds since the start.

SAY_START=$EPOCHREALTIME

# Seconds since $1, a value of EPOCHREALTIME, with one decimal.
say_seconds() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

say_step() {
    printf '%7s s  %s\n' "$(say_seconds "$SAY_START")" "$*"
}

say_warn() {
    printf 'kassa: %s\n' "$*" >&2
}

say_die() {
    say_warn "$*"
    exit 1
}

# The end of a log that says why something failed.
say_tail() {
    say_warn "the end of $1:"
    tail -n 20 "$1" 2>/dev/null | sed 's/^/    /' >&2
}

# say_logged LOG COMMAND..: its output goes to the log; when it fails the end of that is shown.
say_logged() {
    local log=$1 status=0
    shift
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ "$status" != 0 ]; then
        say_tail "$log"
    fi
    return "$status"
}
