# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# Processes that outlive the shell which started them, found again by their pid files.
#
# A pid file holds: pid, start time in clock ticks since boot, start time in seconds since 1970.
# A pid alone may belong to another process by now; with the start time it is ours, or gone.

PROCESS_LOG_BYTES_MAX=10000000

# Sets PROCESS_TICKS of a pid; fails when there is no such process, or only its remains (a zombie).
process_stat() {
    local text fields
    { text=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra fields <<<"${text##*) }"
    PROCESS_TICKS=${fields[19]:-}
    [ -n "$PROCESS_TICKS" ] && [ "${fields[0]}" != Z ] && [ "${fields[0]}" != X ]
}

# Sets PROCESS_PID and PROCESS_SINCE; fails when the process isn't up.
# The working directory tells a copy of the working copy from the one whose processes these are; it cannot
# be read for another user's process, which is then taken to be ours.
process_is_up() {
    local ticks cwd
    PROCESS_PID=''
    { read -r PROCESS_PID ticks PROCESS_SINCE <"$KASSA_VAR/run/$1.pid"; } 2>/dev/null || return 1
    process_stat "$PROCESS_PID" && [ "$ticks" = "$PROCESS_TICKS" ] || return 1
    cwd=$(readlink "/proc/$PROCESS_PID/cwd" 2>/dev/null) || return 0
    [[ $cwd/ == "$KASSA_VAR"/* ]]
}

# process_start NAME COMMAND..: in a session of its own, output appended to log/NAME.log.
process_start() {
    local name=$1 log=$KASSA_VAR/log/$1.log pid
    shift
    if [ "$(stat -c %s "$log" 2>/dev/null || echo 0)" -gt "$PROCESS_LOG_BYTES_MAX" ]; then
        mv "$log" "$log.1"
    fi
    (cd "$KASSA_VAR" && exec setsid "$@") </dev/null >>"$log" 2>&1 9>&- &
    pid=$!
    # The fork keeps its pid and start time through each exec.
    if process_stat "$pid"; then
        printf '%s %s %s\n' "$pid" "$PROCESS_TICKS" "$EPOCHSECONDS" >"$KASSA_VAR/run/$name.pid"
    fi
}

# process_signal NAME SIGNAL: nothing when it is not up.
process_signal() {
    if process_is_up "$1"; then
        kill -s "$2" "$PROCESS_PID" 2>/dev/null || true
    fi
}

# process_end SECONDS NAME..: waits for those that were told to end, and kills what has not by then.
# Returns 1 when one had to be killed, or when one that this very shell started exited with other
# than 0; PROCESS_REPORT says which and how.
process_end() {
    local limit=$((EPOCHSECONDS + $1)) name status bad=0
    PROCESS_REPORT=''
    shift
    for name; do
        while process_is_up "$name" && ((EPOCHSECONDS < limit)); do
            sleep 0.05
        done
        if process_is_up "$name"; then
            # First so that it can say where it is: a sanitized build prints its stack.
            kill -ABRT "$PROCESS_PID" 2>/dev/null || true
            sleep 2
            kill -KILL "$PROCESS_PID" 2>/dev/null || true
            while process_is_up "$name"; do
                sleep 0.05
            done
            PROCESS_REPORT+="$name did not end in time and was killed; "
            bad=1
        fi
        if [ -n "$PROCESS_PID" ]; then
            status=0
            wait "$PROCESS_PID" 2>/dev/null || status=$?
            if [ "$status" != 0 ] && [ "$status" != 127 ]; then # 127: not a child of this shell
                PROCESS_REPORT+="$name exited with status $status; "
                bad=1
            fi
        fi
        rm -f "$KASSA_VAR/run/$name.pid"
    done
    PROCESS_REPORT=${PROCESS_REPORT%; }
    return "$bad"
}

# process_stop SECONDS NAME..: asks all of them at once to end, and waits. A paused one (SIGSTOP)
# is woken first, or it would not hear. First, because a SIGCONT that comes while a sanitized process
# looks for leaks at its end undoes the SIGSTOP of that search, which then waits for ever.
process_stop() {
    local seconds=$1 name
    shift
    for name; do
        process_signal "$name" CONT
        process_signal "$name" TERM
    done
    process_end "$seconds" "$@"
}
