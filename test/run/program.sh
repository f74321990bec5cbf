# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# Test programs: run one, count what passed and failed, show one line, and the end of a failure.

PROGRAM_PASSED=0
PROGRAM_FAILED=0
PROGRAM_CHILD='' # pid of what runs now
PROGRAM_LOGS=''  # directory of the outputs

# Runs a command in the background, so that a signal to us is heard at once, output to LOG.
# program_run SECONDS LOG COMMAND..
program_run() {
    local seconds=$1 log=$2 status=0
    shift 2
    timeout -k 10 "$seconds" "$@" >"$log" 2>&1 </dev/null &
    PROGRAM_CHILD=$!
    # Its errors are bash's own: it would tell of each service that a test has killed.
    wait "$PROGRAM_CHILD" 2>/dev/null || status=$?
    PROGRAM_CHILD=''
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then
        printf 'killed after %s s\n' "$seconds" >>"$log"
    fi
    return "$status"
}

# For the EXIT trap of what runs a private system: ends the child, and is not interrupted from here.
program_end() {
    trap - EXIT
    trap '' INT TERM HUP
    if [ -n "$PROGRAM_CHILD" ]; then
        kill -s TERM "$PROGRAM_CHILD" 2>/dev/null
        wait "$PROGRAM_CHILD" 2>/dev/null
    fi
}

# program_forget NAME STATUS: the private system's directory goes; its logs stay in
# artifacts/NAME/log unless all is well.
program_forget() {
    local kept=artifacts/$1/log
    if [ "$2" != 0 ]; then
        rm -rf "${KASSA_ROOT:?}/$kept"
        mkdir -p "$KASSA_ROOT/$kept"
        cp "$KASSA_VAR/log/"* "$KASSA_ROOT/$kept/" 2>/dev/null
        printf 'logs: %s\n' "$kept"
    fi
    rm -rf "$KASSA_VAR"
}

# program_count LABEL PASSED FAILED START LOG: one line, and the end of the log of a failure.
program_count() {
    local word=ok
    PROGRAM_PASSED=$((PROGRAM_PASSED + $2))
    PROGRAM_FAILED=$((PROGRAM_FAILED + $3))
    if [ "$3" != 0 ]; then
        word=FAIL
    fi
    printf '%-5s %-44s %4d passed %4d failed %6s s\n' "$word" "$1" "$2" "$3" \
        "$(say_seconds "$4")"
    if [ "$3" != 0 ] && [ -n "$5" ]; then
        grep -vE '^  (CC|LD|AR|LUA) ' "$5" | tail -n 40 | sed 's/^/      | /'
    fi
}

# The sum of the numbers that a sed expression finds in a log.
program_sum() {
    sed -nE "$1" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

# unittest's own kinds of failure: `FAILED (failures=1, errors=2, expected failures=3)` is 3.
program_unittest_failed() {
    awk '/^FAILED \(/ {
        gsub(/^FAILED \(|\)$/, "")
        kinds = split($0, kind, ", ")
        for (i = 1; i <= kinds; i++) {
            split(kind[i], pair, "=")
            if (pair[1] ~ /^(failures|errors|unexpected successes)$/) {
                n += pair[2]
            }
        }
    } END { print n + 0 }' "$1"
}

# program_single LABEL SECONDS COMMAND..: a command that counts as one test.
program_single() {
    local label=$1 seconds=$2 start=$EPOCHREALTIME log=$PROGRAM_LOGS/${1//[ \/]/-}.log
    shift 2
    if program_run "$seconds" "$log" "$@"; then
        program_count "$label" 1 0 "$start" ''
    else
        program_count "$label" 0 1 "$start" "$log"
        return 1
    fi
}

# program_counted LABEL FORMAT COMMAND..: a test program that counts for itself, in the words of
# cmocka or unittest, or in ours (tally): `N passed, N failed`. One that crashes, or runs no test at all, counts as one failure.
program_counted() {
    local label=$1 format=$2 start=$EPOCHREALTIME log=$PROGRAM_LOGS/${1//[ \/]/-}.log
    local status=0 passed failed skipped=0
    shift 2
    if ! command -v "$1" >/dev/null; then
        program_count "$label (was not built)" 0 1 "$start" ''
        return
    fi
    program_run "$TEST_SECONDS" "$log" "$@" || status=$?
    if [ "$format" = cmocka ]; then
        passed=$(program_sum 's/^\[  PASSED  \] ([0-9]+) test\(s\).*/\1/p' "$log")
        failed=$(program_sum 's/^\[  FAILED  \] (.*: )?([0-9]+) test\(s\).*/\2/p' "$log")
    elif [ "$format" = tally ]; then
        passed=$(program_sum 's/^([0-9]+) passed, [0-9]+ failed$/\1/p' "$log")
        failed=$(program_sum 's/^[0-9]+ passed, ([0-9]+) failed$/\1/p' "$log")
    else
        failed=$(program_unittest_failed "$log")
        skipped=$(program_sum 's/^(OK|FAILED) \((.*, )?skipped=([0-9]+).*/\3/p' "$log")
        passed=$(program_sum 's/^Ran ([0-9]+) tests? in .*/\1/p' "$log")
        passed=$((passed - failed - skipped))
        passed=$((passed < 0 ? 0 : passed))
    fi
    if [ "$failed" = 0 ] && { [ "$status" != 0 ] || [ "$passed" = 0 ]; }; then
        failed=1
        printf 'exit status %s, %s tests passed\n' "$status" "$passed" >>"$log"
    fi
    if [ "$skipped" != 0 ]; then
        label+=" ($skipped skipped)"
    fi
    program_count "$label" "$passed" "$failed" "$start" "$log"
}
