# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# bench: a private stack of its own, empty; bench/bench.py measures on it. The services are started
# by bench.py, since it measures the bare servers first.

# Debian's python3 finds Debian's matplotlib; another one that is first in the path does not.
BENCH_PYTHON=/usr/bin/python3
[ -x "$BENCH_PYTHON" ] || BENCH_PYTHON=python3

# Whatever happens, nothing of it runs on.
bench_clean() {
    program_end
    process_stop 10 "${UP_PROCESSES[@]}" || true
    program_forget bench "$1"
}

bench_run() {
    local status=0
    cd "$KASSA_ROOT" || exit 1
    [ "$VARIANT" = release ] || say_die "VARIANT is '$VARIANT'; the bench measures release"
    # A wrong option is told before anything is started, where there is somebody to tell it.
    if command -v "$BENCH_PYTHON" >/dev/null; then
        PYTHONDONTWRITEBYTECODE=1 "$BENCH_PYTHON" bench/bench.py --check "$@" || exit
        case " $* " in *' --help '* | *' -h '*) return ;; esac
    fi
    KASSA_VAR=$(mktemp -d "${TMPDIR:-/tmp}/kassa-bench.XXXXXX") || exit 1
    trap 'bench_clean $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    rings_enter "$KASSA_VAR"
    packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_RUN[@]}" "${PACKAGES_BENCH[@]}"
    state_choose_ports
    up_servers_start
    if [ "$KASSA_BUILD" = yes ]; then
        say_step "building"
        services_build all bench || exit 1
    fi
    up_servers_wait || exit 1
    services_environment
    KASSA_VAR=$KASSA_VAR KASSA_BUILD=no VARIANT=$VARIANT PYTHONDONTWRITEBYTECODE=1 \
        "$BENCH_PYTHON" bench/bench.py "$@" &
    PROGRAM_CHILD=$!
    wait "$PROGRAM_CHILD" || status=$?
    PROGRAM_CHILD=''
    bench_clean "$status"
    return "$status"
}
