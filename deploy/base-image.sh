#!/bin/sh
# Makes the bare image debian:bookworm-slim on a machine that reaches an apt mirror but no image
# registry: debootstrap's minimal system, imported as it is. Needs root, debootstrap and docker.
#
#   sh deploy/base-image.sh [image]      does nothing when the image is there
#
# The mirrors are those of this machine's own apt; the image's apt uses the same.
set -eu
image=${1:-debian:bookworm-slim}
suite=bookworm

fail() {
    echo "base-image: $1" >&2
    exit 1
}

# The addresses apt uses here, one a line: of deb822 files (URIs:), and of the old one-line format.
mirrors() {
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
        sed -n 's/^URIs:[[:space:]]*//p' | tr ' ' '\n' | grep . || true
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -nE 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]*)?([^[:space:]]*).*/\2/p' || true
}

command -v docker >/dev/null || fail 'docker is missing'
if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there already"
    exit 0
fi
command -v debootstrap >/dev/null || fail 'debootstrap is missing: apt-get install debootstrap'
[ "$(id -u)" = 0 ] || fail 'debootstrap needs root'

main=$(mirrors | grep '/debian/*$' | head -n 1) || true
security=$(mirrors | grep '/debian-security/*$' | head -n 1) || true
[ -n "$main" ] || fail 'no address that ends in /debian among the sources of apt'

work=$(mktemp -d "${TMPDIR:-/tmp}/kassa-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
root=$work/root

echo "debootstrap $suite (a minute or two)"
if ! debootstrap --variant=minbase "$suite" "$root" "$main" >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    fail 'debootstrap failed'
fi

# Like the image everyone knows: no services started by packages, no documentation, no lists.
key=/usr/share/keyrings/debian-archive-keyring.gpg
{
    printf 'deb [signed-by=%s] %s %s main\n' "$key" "$main" "$suite"
    printf 'deb [signed-by=%s] %s %s-updates main\n' "$key" "$main" "$suite"
    if [ -n "$security" ]; then
        printf 'deb [signed-by=%s] %s %s-security main\n' "$key" "$security" "$suite"
    fi
} >"$root/etc/apt/sources.list"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-exclude /usr/share/man/*' \
    'path-exclude /usr/share/locale/*' 'path-exclude /usr/share/info/*' \
    >"$root/etc/dpkg/dpkg.cfg.d/slim"
rm -rf "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale" \
    "$root/usr/share/info" "$root/var/lib/apt/lists" "$root/var/cache/apt/archives" \
    "$root/var/log/bootstrap.log" "$root/etc/hostname" "$root/etc/resolv.conf"
mkdir -p "$root/var/lib/apt/lists/partial" "$root/var/cache/apt/archives/partial"

tar -C "$root" --numeric-owner -cf - . | docker import --change 'CMD ["bash"]' - "$image" >/dev/null
echo "$image made"
