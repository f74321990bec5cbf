#!/usr/bin/env bash
# Inside the bare container: git, a user, a clone; then the script that is given, in the clone.
# prepare.sh USER SCRIPT
set -euo pipefail
user=$1
script=$2
export DEBIAN_FRONTEND=noninteractive

rm -f /usr/sbin/policy-rc.d # images have it, machines have not: there packages start their servers
packages=(git)
if [ "$user" != root ]; then
    packages+=(sudo)
fi
apt-get -q update >/dev/null
apt-get -q -y install --no-install-recommends "${packages[@]}" >/dev/null 2>&1
rm -rf /var/lib/apt/lists/*

home=/root
if [ "$user" != root ]; then
    home=/home/$user
    useradd --create-home --shell /bin/bash "$user"
    printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$user" >/etc/sudoers.d/kassa
fi
cd "$home"
as_user=(setpriv --reuid "$user" --regid "$user" --init-groups env "HOME=$home" "USER=$user")
"${as_user[@]}" git clone -q /kassa-clean/kassa.bundle kassa
cd kassa
exec "${as_user[@]}" bash "$script"
