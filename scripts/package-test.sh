#!/usr/bin/env bash
# Installs the package of `make deb` by dpkg into a root of its own, uses the program from there, installs it again as an upgrade, removes and purges it.
# The root is this machine's files under an overlay in memory, so that the packages it depends on are there and nothing outside is touched. As root.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "package-test: $1" >&2; exit 1; }

in_there() {
    local root=$1/root package=$2
    mount --make-rprivate /
    ! command -v ip >/dev/null || ip link set lo up
    mount -t tmpfs tmpfs "$1/memory"
    mkdir "$1/memory/upper" "$1/memory/work"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$1/memory/upper,workdir=$1/memory/work" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    cp "$package" media/demo_clip.mp4 "$root/tmp/"
    # One that was installed on this machine before would help.
    rm -rf "$root/usr/lib/gradcast" "$root/usr/share/gradcast" "$root/etc/gradcast" "$root"/var/{lib,cache}/{,private/}gradcast
    # shellcheck disable=SC2016
    exec env -i HOME=/run PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 GST_REGISTRY=/run/registry.bin chroot "$root" bash -euo pipefail -c '
        cd /tmp
        step() { echo "package-test: $1"; }
        gone() { for path; do [ ! -e "$path" ] || { echo "package-test: $path is still there" >&2; exit 1; }; done; }
        step "install"
        dpkg --install ./*.deb
        [ "$(dpkg-query -W -f "\${db:Status-Abbrev}" gradcast)" = "ii " ]
        getent group render >/dev/null
        [ -z "$(ldd /usr/bin/gradcast | grep "not found")" ]
        ldd /usr/bin/gradcast | grep "/usr/bin/../lib/gradcast/libtorch_cpu.so" >/dev/null
        # With the man pages that they name.
        systemd-analyze verify gradcast.service gradcast@one.service
        step "use"
        gradcast check
        gradcast check --config /etc/gradcast/gradcast.toml
        gradcast overlay demo_clip.mp4 -o out.mp4 --duration 1
        [ -s out.mp4 ]
        man --where gradcast-overlay >/dev/null
        step "upgrade, with a configuration of the operator"
        echo "# by the operator" >> /etc/gradcast/gradcast.toml
        dpkg --install ./*.deb
        grep -q "by the operator" /etc/gradcast/gradcast.toml
        systemctl --quiet enable gradcast.service
        [ -L /etc/systemd/system/multi-user.target.wants/gradcast.service ]
        step "remove"
        dpkg --remove gradcast
        gone /usr/bin/gradcast /usr/lib/gradcast /usr/share/gradcast /usr/lib/systemd/system/gradcast.service /etc/systemd/system/multi-user.target.wants/gradcast.service
        [ ! -L /etc/systemd/system/multi-user.target.wants/gradcast.service ]
        grep -q "by the operator" /etc/gradcast/gradcast.toml
        step "purge"
        mkdir -p /var/lib/private/gradcast/segments /var/cache/private/gradcast
        dpkg --purge gradcast
        gone /etc/gradcast /var/cache/private/gradcast
        [ -d /var/lib/private/gradcast/segments ]
        step "done"
    '
}

if [ "${1:-}" = --in-there ]; then in_there "$2" "$3"; fi

if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || fail "mounts a root of its own; run as root"
    exec sudo -n "scripts/package-test.sh"
fi
package=$(ls target/debian/gradcast_*.deb 2>/dev/null) || fail "there is no package; run make deb"
[ -f "$package" ] || fail "target/debian has several packages; remove the old ones"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root" "$work/memory"
# A network of its own, in which no port is taken; without `ip` nobody would bring its loopback up.
network=()
! command -v ip >/dev/null || network=(--net)
unshare --mount --pid "${network[@]}" --fork "$0" --in-there "$work" "$package"
