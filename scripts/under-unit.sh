#!/usr/bin/env bash
# Runs gradcast as its unit would: installed in /usr, under all restrictions of systemd/gradcast.service.
#
#   scripts/under-unit.sh [--keep FOLDER] COMMAND [ARGUMENT]...   one command, as `gradcast overlay media/demo_clip.mp4 -o '${STATE_DIRECTORY}/out.mp4'`
#   scripts/under-unit.sh [--keep FOLDER] --service [FILE.toml]   the unit itself: start, ready, reload, twenty seconds, stop
#
# As root it boots a systemd of its own, in namespaces of its own: the machine's files lie under an overlay in memory, so that nothing outside is
# touched, whatever the machine's own init is. A command runs in the project's folder, which it can only read; ${STATE_DIRECTORY} can be written,
# and --keep brings its files out. Not as root, or where no systemd boots, only a part of the restrictions is applied, and that is said.
# Ends as the command ends; with --service, with 0 where the unit started, reloaded and stopped as it should.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)

say() { echo "under-unit: $1" >&2; }
fail() { say "$1"; exit 1; }

# In the new namespaces, before systemd: makes a root of the machine's files, and goes there.
build_root() {
    local work=$1 root=$1/root device
    mount --make-rprivate /
    mount -t tmpfs -o mode=755 tmpfs "$work/memory"
    mkdir "$work/memory/upper" "$work/memory/work"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$work/memory/upper,workdir=$work/memory/work" "$root"
    mount -t proc proc "$root/proc"
    # What is the machine's own must not be set from in here.
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
    mount -t cgroup2 -o nsdelegate cgroup2 "$root/sys/fs/cgroup" 2>/dev/null \
        || { mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"; mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"; }
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    for device in null zero full random urandom tty; do cp -a "/dev/$device" "$root/dev"; done
    for device in /dev/video* /dev/nvidia* /dev/dri; do [ ! -e "$device" ] || cp -a "$device" "$root/dev"; done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    for device in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${device%:*}" "$root/dev/${device#*:}"; done
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    mkdir -p "$root/run/systemd/system" "$root/run/before" "$root/srv/gradcast"
    # ProtectHome hides a project that lies in a home.
    mount --bind "$project" "$root/srv/gradcast"
    mount -o remount,bind,ro "$root/srv/gradcast"
    # A daemon of this machine keeps its files; they are hidden here.
    rm -rf "$root"/var/{lib,cache}/{,private/}gradcast "$root/usr/lib/gradcast" "$root/usr/share/gradcast" "$root/etc/gradcast" "$root/etc/systemd/system"/gradcast*.service*
    cp -a "$work/installed/." "$root/"
    cp "$work"/units/* "$root/run/systemd/system/"
    # No business of theirs: devices, kernel settings, disks, the network.
    for device in systemd-{udevd,udev-trigger,sysctl,modules-load,random-seed,firstboot,networkd,resolved,timesyncd,remount-fs,journal-flush,pcrphase}.service; do
        ln -s /dev/null "$root/run/systemd/system/$device"
    done
    cd "$root"
    pivot_root . run/before
    umount -l /run/before
    # systemd hands credentials over by mounts that have to spread; outside of containers it does this itself.
    mount --make-rshared /
    exec env -i container=gradcast PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=trial.target --log-target=journal --show-status=no </dev/null >/dev/null 2>&1
}

if [ "${1:-}" = --build-root ]; then build_root "$2"; fi

keep= service= configuration=$project/systemd/gradcast.toml
if [ "${1:-}" = --keep ]; then
    keep=${2:?--keep wants a folder}
    shift 2
fi
if [ "${1:-}" = --service ]; then
    service=1
    [ -z "${2:-}" ] || configuration=$2
elif [ $# -eq 0 ]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit 2
fi
if [ -n "$service" ] && [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || fail "boots a systemd; run as root"
    exec sudo -n ${CARGO_TARGET_DIR:+"CARGO_TARGET_DIR=$CARGO_TARGET_DIR"} ${LIBTORCH:+"LIBTORCH=$LIBTORCH"} ${PROFILE:+"PROFILE=$PROFILE"} "$0" ${keep:+--keep "$keep"} --service "$configuration"
fi
target=${CARGO_TARGET_DIR:-$project/target}
built=$target/${PROFILE:-release}
[ -x "$built/gradcast" ] || fail "$built/gradcast is not there; run make build"

# What can be had without systemd: no new privileges, no capabilities, files read-only but for one folder.
in_part() {
    [ -z "$service" ] || fail "$1; --service needs a systemd"
    say "$1: no filter of system calls, devices and address families, /proc and homes open; applied: no new privileges, no capabilities, read-only files"
    shift
    local state
    state=$(mktemp -d)
    # shellcheck disable=SC2016
    PATH="$built:$PATH" STATE_DIRECTORY=$state unshare --user --map-root-user --mount --ipc --uts bash -c '
        set -euo pipefail
        mount --make-rprivate /
        mount --bind "$STATE_DIRECTORY" "$STATE_DIRECTORY"
        mount -o remount,bind,ro /
        cd "$1"
        shift
        for word; do set -- "$@" "${word//\$\{STATE_DIRECTORY\}/$STATE_DIRECTORY}"; shift; done
        exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
    ' bash "$project" "$@" || { local rc=$?; rm -rf "$state"; exit $rc; }
    [ -z "$keep" ] || { mkdir -p "$keep"; cp -r "$state/." "$keep"; }
    rm -rf "$state"
}

[ "$(id -u)" -eq 0 ] || { in_part "not root" "$@"; exit; }
[ -x /lib/systemd/systemd ] || { in_part "no systemd is installed" "$@"; exit; }
cgroup=$(findmnt -n -o TARGET -t cgroup2 | head -n 1) || { in_part "no unified control groups" "$@"; exit; }

work=$(mktemp -d)
cgroup=$cgroup/gradcast-trial-$$
booted=
clean() {
    if [ -n "$booted" ]; then
        kill -KILL "$booted" 2>/dev/null || true
        wait "$parent" 2>/dev/null || true
    fi
    # A cgroup is gone when its last process is.
    for _ in $(seq 100); do
        [ -d "$cgroup" ] || break
        find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
        sleep 0.1
    done
    rm -rf "$work"
}
trap clean EXIT

mkdir "$work"/{memory,root,units,installed}
"$project/scripts/install.sh" /usr "$work/installed" >&2
cp "$configuration" "$work/installed/etc/gradcast/gradcast.toml"
# Everything of the unit but what makes it a daemon.
{
    sed -e '/^\(Type\|NotifyAccess\|Exec[A-Za-z]*\|WatchdogSec\|Timeout[A-Za-z]*\|Restart[A-Za-z]*\|WorkingDirectory\|StartLimit[A-Za-z]*\)=/d' -e '/^\[Install\]/,$d' "$project/systemd/gradcast.service"
    echo "Type=oneshot"
    echo "WorkingDirectory=/srv/gradcast"
    printf 'ExecStart='
    for word; do word=${word//\\/\\\\} && word=${word//\"/\\\"} && word=${word//%/%%} && printf '"%s" ' "$word"; done
    echo
} > "$work/units/trial.service"
printf '[Unit]\nDescription=A place to try units in\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' > "$work/units/trial.target"

mkdir "$cgroup"
( echo "$BASHPID" > "$cgroup/cgroup.procs"; exec unshare --mount --pid --fork --cgroup --net --uts --ipc "$0" --build-root "$work" ) >"$work/log" 2>&1 &
parent=$!
in_there() { nsenter --target "$booted" --mount --pid --cgroup --net --uts --ipc "$@"; }
for _ in $(seq 300); do
    booted=$(pgrep -P "$parent" | head -n 1 || true)
    [ -z "$booted" ] || [ "$(in_there systemctl is-active trial.target 2>/dev/null || true)" != active ] || break
    kill -0 "$parent" 2>/dev/null || break
    sleep 0.1
done
if [ -z "$booted" ] || [ "$(in_there systemctl is-active trial.target 2>/dev/null || true)" != active ]; then
    sed 's/^/under-unit: /' "$work/log" >&2
    in_part "no systemd boots here" "$@"
    exit
fi
say "$(in_there systemctl --version | head -n 1), in namespaces of its own"

brought_out() {
    [ -z "$keep" ] || { mkdir -p "$keep"; in_there tar -C /var/lib/private/gradcast -c . | tar -C "$keep" -x --no-same-owner; }
}
journal() { in_there journalctl --quiet --no-pager --no-hostname "$@"; }

if [ -z "$service" ]; then
    rc=0
    in_there systemctl start trial.service 2>/dev/null || rc=1
    status=$(in_there systemctl show trial.service --property=ExecMainStatus --value)
    journal --output=cat _SYSTEMD_UNIT=trial.service _TRANSPORT=stdout
    brought_out
    [ "$rc" -eq 0 ] || [ "$status" -ne 0 ] || status=1
    exit "$status"
fi

rc=0
wanted() { if [ "$2" = "$3" ]; then say "$1: $2"; else say "$1: $2, and should be $3"; rc=1; fi; }
state() { in_there systemctl show gradcast.service --property="$1" --value; }
if ! in_there systemctl start gradcast.service; then
    journal --output=short-precise --unit=gradcast.service
    fail "gradcast.service does not start"
fi
wanted "started" "$(state ActiveState)" active
before=$(state MainPID)
say "status: $(state StatusText)"
in_there systemctl reload gradcast.service || rc=1
sleep 20
wanted "after a reload and twenty seconds" "$(state ActiveState)" active
wanted "main process" "$(state MainPID)" "$before"
say "status: $(state StatusText)"
in_there systemctl stop gradcast.service || rc=1
wanted "stopped" "$(state ActiveState)" inactive
wanted "result" "$(state Result)" success
wanted "exit code" "$(state ExecMainStatus)" 0
journal --output=short-precise --unit=gradcast.service
brought_out
exit $rc
