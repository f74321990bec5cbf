# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# test: the rings, from the one that needs least to the whole system. Nothing here touches the
# working copy's own running system: servers and services get a directory and ports of their own.
#
#   check    includes, docs, generated parts, format, shell: no build
#   unit     build/{optimised,asan}/test/unit  no servers; the corpora of test/fuzz; the Python code;
#                                            optimised is release with the tests' own messages
#   world    build/release/test/world        no servers: the simulation, WORLD_SEEDS seeds
#   live     build/asan/test/live            private redis and rabbitmq; groups of redis.sh
#   system   test/system/test_*.py           the same, and the services (asan); the previous
#                                            release beside this one, where git's history has it
#   crash    test/crash/matrix.py --quick    only when asked for: dies at each crash point once
#   crash-full                               only when asked for: each point in each scenario
#   fuzz     build/fuzz/test/fuzz            only when asked for: libFuzzer, FUZZ_SECONDS a target
#   containers  test/containers/test_*.py    only when asked for: docker-compose.yml, on a Docker engine
#
# The last line is `N passed, N failed`.

RINGS_ALL=(check unit world live system)
RINGS_LONG_SECONDS=900 # of what goes through many seeds, or many restarts
RINGS_ASKED=(crash crash-full fuzz containers) # those that run only when they are named
RINGS_BUILD_SECONDS=1800
RINGS_CRASH_SECONDS=900
RINGS_CRASH_FULL_SECONDS=7200
RINGS_CONTAINERS_SECONDS=900

# rings_build VARIANT GOAL..: counts only as a failure; what it made is tested later.
rings_build() {
    local variant=$1 start=$EPOCHREALTIME log=$PROGRAM_LOGS/build-$1.log
    shift
    mkdir -p "$KASSA_ROOT/build"
    say_step "building the $variant variant"
    if ! program_run "$RINGS_BUILD_SECONDS" "$log" flock "$KASSA_ROOT/build/.lock" \
        make -k -j"$(nproc)" VARIANT="$variant" "$@"; then
        program_count "build $variant" 0 1 "$start" "$log"
    fi
}

# From here on everything concerns the system in this directory, with ports of its own.
rings_enter() {
    unset "${!STATE_PORTS[@]}" HTTP_HOST
    STATE_KEPT=()
    KASSA_VAR=$1
    HTTP_PORT=0
    state_open
    state_secrets make
}

rings_servers_start() {
    rings_enter "$RINGS_DIR/$1"
    state_choose_ports
    up_servers_start
}

rings_servers_wait() {
    local start=$EPOCHREALTIME
    rings_enter "$RINGS_DIR/$1"
    services_environment
    if ! up_servers_wait; then
        program_count "$1: private servers" 0 1 "$start" ''
        return 1
    fi
}

rings_check() {
    local name
    for name in includes docs crash generated format shell; do
        program_single "check $name" "$TEST_SECONDS" make --no-print-directory "check-$name"
    done
}

rings_unit() {
    local variant source name
    for variant in optimised asan; do
        for source in test/unit/*/*.c; do
            name=${source%.c}
            [ ! -e "$source" ] || program_counted "unit $variant ${name#test/unit/}" cmocka \
                "build/$variant/$name"
        done
    done
    rings_corpora
    program_counted 'unit py' unittest python3 -m unittest discover -s test/py
    program_counted 'unit drill' unittest python3 -m unittest discover -s test/drill
    program_counted 'unit bench' unittest python3 -m unittest discover -s bench
}

# First that it sees what is planted, then that there is nothing else to see.
rings_world() {
    program_single 'world: planted bugs are found' "$RINGS_LONG_SECONDS" \
        build/release/test/world/world --plants --jobs "$(nproc)"
    program_single "world: $WORLD_SEEDS seeds" "$RINGS_LONG_SECONDS" \
        build/release/test/world/world --seeds "$WORLD_SEEDS" --jobs "$(nproc)"
    program_single 'world: 200 seeds with ASan and UBSan' "$RINGS_LONG_SECONDS" \
        build/asan/test/world/world --seeds 200 --jobs "$(nproc)"
}

# What the fuzz targets have found, and what they started from, through the ordinary asan build.
rings_corpora() {
    local corpus name
    for corpus in test/fuzz/corpus/*/; do
        name=$(basename "$corpus")
        program_counted "unit asan fuzz/$name" cmocka "build/asan/test/fuzz/$name" "$corpus"
    done
}

# New inputs stay in build/fuzz/corpus for the next run; one that crashes is named in the log, kept
# there too, and belongs into test/fuzz/corpus together with the fix.
rings_fuzz() {
    local source name dictionary work
    for source in test/fuzz/*.c; do
        name=$(basename "$source" .c)
        [ "$name" != replay ] || continue
        work=build/fuzz/corpus/$name
        mkdir -p "$work" build/fuzz/found
        dictionary=()
        [ ! -e "test/fuzz/$name.dict" ] || dictionary=("-dict=test/fuzz/$name.dict")
        program_single "fuzz $name" $((FUZZ_SECONDS + 120)) env \
            ASAN_OPTIONS=max_allocation_size_mb=512:allocator_may_return_null=1:handle_abort=1 \
            "build/fuzz/test/fuzz/$name" "${dictionary[@]}" -max_total_time="$FUZZ_SECONDS" \
            -max_len=4096 -timeout=10 -print_final_stats=1 \
            -artifact_prefix="build/fuzz/found/$name-" "$work" "test/fuzz/corpus/$name" &&
            grep -E '^#[0-9]+[[:space:]]+DONE' "$PROGRAM_LOGS/fuzz-$name.log" | sed 's/^/      | /'
    done
}

rings_live() {
    local source name
    rings_servers_wait live || return
    for source in test/live/*.c; do
        name=${source%.c}
        [ ! -e "$source" ] || program_counted "live ${name#test/live/}" cmocka "build/asan/$name"
    done
    TEST_SECONDS=$RINGS_LONG_SECONDS program_counted 'live copies' unittest python3 -m unittest discover -s test/live
    # What the bench measures the servers with is made of the services' own rooms and messages.
    program_single 'live: floor of the store' "$TEST_SECONDS" \
        build/asan/kassa-floor store --depth 16 --seconds 1
    program_single 'live: floor of calls with rows' "$TEST_SECONDS" \
        build/asan/kassa-floor rows --depth 16 --seconds 1
    program_single 'live: floor of the broker' "$TEST_SECONDS" \
        build/asan/kassa-floor broker --commands 10 --seconds 1
    down_all || program_count 'live: private servers end well' 0 1 "$EPOCHREALTIME" ''
}

# A script may kill services; what it leaves dead is not to be held against those after it.
rings_system_up() {
    local name
    for name in "${SERVICES[@]}"; do
        if ! process_is_up "$name"; then
            up_services >/dev/null
            return
        fi
    done
}

rings_system() {
    local script name start=$EPOCHREALTIME VARIANT=asan
    rings_servers_wait system || return
    if up_services; then
        for script in test/system/test_*.py; do
            [ -e "$script" ] || continue
            name=$(basename "$script" .py)
            rings_system_up
            program_counted "system $name" unittest \
                env KASSA_URL="$(state_url)" KASSA_TIME_FACTOR="${KASSA_TIME_FACTOR:-3}" \
                KASSA_VAR="$KASSA_VAR" KASSA_RESTART='./kassa up' KASSA_BUILD=no \
                VARIANT="$VARIANT" python3 -m unittest discover -s test/system -p "$name.py"
        done
    else
        program_count 'system: start' 0 1 "$start" ''
    fi
    # What all of these tests have left behind is accounted for.
    program_single 'system: audit' "$TEST_SECONDS" \
        env KASSA_VAR="$KASSA_VAR" VARIANT="$VARIANT" ./kassa audit
    rings_system_end
    rings_versions
}

# A row of the drill, and so on a system of its own: the previous release beside this one.
rings_versions() {
    if previous_build; then
        program_counted 'system: two versions' tally env KASSA_BUILD=no VARIANT="$VARIANT" \
            ./kassa drill --only services-versions
    fi
}

# Each service ends with status 0, and no sanitizer has complained: one test.
rings_system_end() {
    local start=$EPOCHREALTIME log=$PROGRAM_LOGS/system-end.log name logs=()
    down_all
    printf '%s\n' "$DOWN_REPORT" >"$log"
    # Those that a test has restarted are no children of ours: their logs say how they ended.
    for name in "${SERVICES[@]}"; do
        logs+=("$KASSA_VAR/log/$name.log")
        awk '/ event=start /{ ok = 0 } / event=stop status=0/{ ok = 1 } END { exit !ok }' \
            "$KASSA_VAR/log/$name.log" || printf '%s did not stop cleanly\n' "$name" >>"$log"
    done
    grep -hE 'ERROR: (Address|Leak)Sanitizer|runtime error:' -A 25 \
        "${logs[@]}" >>"$log" 2>/dev/null
    if grep -q . "$log"; then
        program_count 'system: clean end of the services' 0 1 "$start" "$log"
    else
        program_count 'system: clean end of the services' 1 0 "$start" ''
    fi
}

# rings_matrix NAME SECONDS [OPTION..]: the driver starts the services, kills them, and stops all.
rings_matrix() {
    local name=$1 TEST_SECONDS=$2
    shift 2
    program_counted "$name" tally env KASSA_VAR="$RINGS_DIR/crash" HTTP_PORT=0 \
        python3 test/crash/matrix.py "$@"
    grep -E '^[0-9]+ (deaths|points), ' "$PROGRAM_LOGS/$name.log" | sed 's/^/      | /'
}

rings_crash() {
    rings_matrix crash "$RINGS_CRASH_SECONDS" --quick
}

rings_crash-full() {
    rings_matrix crash-full "$RINGS_CRASH_FULL_SECONDS"
}

# Both stacks of compose, the large one with all that watches it.
rings_containers() {
    local TEST_SECONDS=$RINGS_CONTAINERS_SECONDS
    rings_enter "$RINGS_DIR/containers"
    compose_open test
    program_counted containers unittest \
        env KASSA_VAR="$KASSA_VAR" COMPOSE_PROFILES=metrics RABBITMQ_PLUGINS=rabbitmq_prometheus \
        /usr/bin/python3 -m unittest discover -s test/containers
    sed -n 's/^measured: /      | /p' "$PROGRAM_LOGS/containers.log"
    compose_close
}

# rings_clean STATUS: stops what still runs, however we got here; keeps the logs unless all is well.
rings_clean() {
    local status=$1 name
    trap - EXIT
    trap '' INT TERM HUP
    if [ -n "$PROGRAM_CHILD" ]; then
        kill "$PROGRAM_CHILD" 2>/dev/null
    fi
    for name in live system crash; do
        KASSA_VAR=$RINGS_DIR/$name
        process_stop 5 "${UP_PROCESSES[@]}" || true
    done
    compose_close
    if [ "$status" != 0 ] || [ "$PROGRAM_FAILED" != 0 ]; then
        rm -rf "$RINGS_KEEP"
        for name in . live system crash containers; do
            mkdir -p "$RINGS_KEEP/$name"
            cp "$RINGS_DIR/$name/log/"* "$RINGS_KEEP/$name/" 2>/dev/null
        done
        printf 'logs: %s\n' "$(state_short "$RINGS_KEEP")"
    fi
    rm -rf "$RINGS_DIR"
}

rings_run() {
    local ring wanted=" ${*:-${RINGS_ALL[*]}} "
    for ring; do
        [[ " ${RINGS_ALL[*]} ${RINGS_ASKED[*]} " == *" $ring "* ]] ||
            kassa_usage "there is no ring '$ring', but: ${RINGS_ALL[*]} ${RINGS_ASKED[*]}"
    done
    cd "$KASSA_ROOT" || exit 1
    RINGS_KEEP=$KASSA_VAR/test
    RINGS_DIR=$(mktemp -d "${TMPDIR:-/tmp}/kassa-test.XXXXXX") || exit 1
    trap 'rings_clean $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    # A working copy of another user than the one who tests is no reason for git to refuse.
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$KASSA_ROOT
    export PYTHONDONTWRITEBYTECODE=1 UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=handle_abort=1
    KASSA_VAR=$RINGS_DIR
    PROGRAM_LOGS=$RINGS_DIR/log
    state_open
    rings_prepare "$wanted"
    for ring in "${RINGS_ALL[@]}" "${RINGS_ASKED[@]}"; do
        [[ $wanted != *" $ring "* ]] || "rings_$ring"
    done
    rings_clean 0
    printf '%d passed, %d failed\n' "$PROGRAM_PASSED" "$PROGRAM_FAILED"
    [ "$PROGRAM_FAILED" = 0 ]
}

# Packages, servers that boot meanwhile, builds.
rings_prepare() {
    local wanted=$1 ring goals=() packages=("${PACKAGES_BUILD[@]}" "${PACKAGES_TEST[@]}")
    case $wanted in
    *' live '* | *' system '* | *' crash'*) packages+=("${PACKAGES_RUN[@]}") ;;
    esac
    [[ $wanted != *' fuzz '* ]] || packages+=("${PACKAGES_FUZZ[@]}")
    [[ $wanted != *' system '* ]] || packages+=("${PACKAGES_DRILL[@]}")
    packages_install "${packages[@]}"
    for ring in live system; do
        [[ $wanted != *" $ring "* ]] || rings_servers_start "$ring"
    done
    case $wanted in
    *' crash'*)
        rings_servers_start crash
        rings_build crash all
        ;;
    esac
    case $wanted in
    *' unit '*)
        rings_build release all bench shim
        rings_build optimised unit
        goals+=(unit fuzz-replay)
        ;;
    esac
    if [[ $wanted == *' world '* ]]; then
        rings_build release world
        goals+=(world)
    fi
    [[ $wanted != *' fuzz '* ]] || rings_build fuzz fuzz-replay
    [[ $wanted != *' live '* ]] || goals+=(live bench)
    [[ $wanted != *' system '* ]] || goals+=(all shim)
    if [ "${#goals[@]}" != 0 ]; then
        rings_build asan "${goals[@]}"
    fi
}
