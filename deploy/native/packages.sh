# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# The Debian packages Kassa needs, and how they get here. The image of the containers has a list of
# its own (deploy/images/kassa.Dockerfile).

PACKAGES_BUILD=(gcc libc6-dev make pkg-config
    libuv1-dev librabbitmq-dev libhiredis-dev libmicrohttpd-dev libjson-c-dev uthash-dev)
PACKAGES_RUN=(redis-server rabbitmq-server curl)
PACKAGES_TEST=(libcmocka-dev liblua5.1-0-dev clang-format shellcheck python3 git amqp-tools
    nginx-light)
PACKAGES_FUZZ=(clang-14 libclang-rt-14-dev)
PACKAGES_DRILL=(python3 nginx-light)
PACKAGES_CONTAINERS=(python3 python3-redis erlang-base iproute2 util-linux amqp-tools)
PACKAGES_BENCH=(python3 python3-matplotlib)

# Runs as root, with the packages as arguments. Servers that come with a package are for the system;
# ours are private ones, so nothing may start now, nor at the next boot.
# shellcheck disable=SC2016  # the root shell expands it, not this one
PACKAGES_INSTALL='
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap "rm -f $policy" EXIT
    trap "exit 130" INT TERM
    printf "#!/bin/sh\nexit 101\n" >$policy
    chmod 0755 $policy
fi
epmd_listens() { cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ":1111 0*:0000 0A"; }
epmd_before=no
if epmd_listens; then epmd_before=yes; fi
get() { apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"; }
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || get update
install() { get install --no-install-recommends "$@"; }
install "$@" || { get update && install "$@"; }
for name in redis-server rabbitmq-server; do
    case " $* " in *" $name "*) systemctl disable $name.service 2>/dev/null || true ;; esac
done
case " $* " in *" nginx-light "*) systemctl disable nginx.service 2>/dev/null || true ;; esac
if [ $epmd_before = no ] && epmd_listens; then epmd -kill || true; fi
'

# Prints those of its arguments that are not installed.
packages_missing() {
    local installed name
    installed=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' "$@" 2>/dev/null) "
    for name; do
        if [[ $installed != *" installed:$name "* ]]; then
            printf '%s\n' "$name"
        fi
    done
}

# Runs a command as root: as it is for root, else by sudo, which may ask only at a terminal.
packages_as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ] && [ -t 2 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

# Installs what is missing of its arguments; without a missing one it takes no time.
packages_install() {
    local missing log=$KASSA_VAR/log/packages.log command
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say_warn "without apt-get and dpkg-query: assuming these are installed: $*"
        return
    fi
    mapfile -t missing < <(packages_missing "$@")
    if [ "${#missing[@]}" = 0 ]; then
        return
    fi
    command="apt-get install --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        say_die "packages are missing, and there is neither root nor sudo to install them;" \
            "let an administrator run: $command"
    fi
    packages_as_root true 2>/dev/null ||
        say_die "packages are missing, and sudo does not let us; run: sudo $command"
    say_step "installing ${#missing[@]} packages (log: $(state_short "$log"))"
    say_logged "$log" packages_as_root sh -c "$PACKAGES_INSTALL" kassa-packages "${missing[@]}" ||
        say_die "installing packages failed, see $(state_short "$log")"
}
