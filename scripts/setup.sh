#!/usr/bin/env bash
# Installs what is missing to build, run and test: Debian packages by apt, libtorch, the Rust toolchain that rust-toolchain.toml
# pins, crates. Does nothing, and needs no network, where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "set-up: $1" >&2; exit 1; }

packages=(
    g++ pkg-config ca-certificates
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-rtsp
    ffmpeg     # the tests make clips with it and check results by ffprobe
    prometheus # promtool checks the alert rules, and a real one scrapes a daemon in a test
    systemd    # systemd-analyze checks the units
    chrpath    # for make install
)
# The page's test drives Debian's Chromium. Ubuntu has it as a snap only, and the test says what it lacks.
if grep -qs '^ID=debian$' /etc/os-release; then packages+=(chromium chromium-driver); fi
if [ -z "${LIBTORCH:-}${LIBTORCH_USE_PYTORCH:-}" ] && ! { cmp -s .libtorch/.wheels scripts/libtorch-wheels.txt && [ -e .libtorch/licences/nvidia.txt ]; }; then
    packages+=(unzip)
    python3 -m pip --version >/dev/null 2>&1 || packages+=(python3 python3-pip)
fi

if command -v dpkg-query >/dev/null; then
    missing=()
    for package in "${packages[@]}"; do
        # The second letter is the state, i for installed; dpkg-query fails where it has never heard of the package.
        state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) || state=
        [ "${state:1:1}" = i ] || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        command -v apt-get >/dev/null || fail "these packages are missing and there is no apt-get: ${missing[*]}; install them and run again"
        as_root=()
        if [ "$(id -u)" -ne 0 ]; then
            command -v sudo >/dev/null || fail "neither root nor sudo; run as root: apt-get install ${missing[*]}"
            as_root=(sudo)
        fi
        echo "set-up: installing ${missing[*]}"
        log=$(mktemp)
        # Debian starts and enables a daemon when its package is installed. Of Prometheus only the programs are wanted, not one on port 9090.
        policy=/usr/sbin/policy-rc.d own_policy= daemon=
        [[ " ${missing[*]} " != *" prometheus "* ]] || daemon=prometheus
        clean() {
            rm -f "$log"
            [ -z "$own_policy" ] || "${as_root[@]}" rm -f "$policy"
        }
        trap clean EXIT
        if [ -n "$daemon" ] && [ ! -e "$policy" ]; then
            own_policy=1
            printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
            "${as_root[@]}" chmod 755 "$policy"
        fi
        apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1; }
        if ! { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; }; then
            tail -n 15 "$log" >&2
            fail "apt-get could not install ${missing[*]} (see above); install them by hand and run again"
        fi
        [ -z "$daemon" ] || "${as_root[@]}" update-rc.d "$daemon" disable >>"$log" 2>&1 || true
        clean
        trap - EXIT
    fi
else
    for tool in c++ pkg-config ffmpeg; do
        command -v "$tool" >/dev/null || fail "needs $tool, and this is no Debian or Ubuntu; install it and run again"
    done
fi
pkg-config --exists 'gstreamer-app-1.0 >= 1.22' 'gstreamer-video-1.0 >= 1.22' 'gstreamer-rtsp-server-1.0 >= 1.22' \
    || fail "needs GStreamer 1.22 or newer with its development files (app, video, rtsp-server) and the base, good, bad, ugly and libav plugins; there is $(pkg-config --modversion gstreamer-app-1.0 2>/dev/null || echo none); install a newer one (Debian 12 and Ubuntu 24.04 have it) and run again"

scripts/libtorch.sh

command -v cargo >/dev/null || fail "needs cargo; install rustup (https://rustup.rs) and run again"
# rustup fetches the pinned toolchain at its first use, unless it is told not to.
cargo --version >/dev/null 2>&1 || rustup toolchain install || fail "the Rust toolchain that rust-toolchain.toml pins could not be had (see above); check the network, or run: rustup toolchain install"
host=$(rustc -vV | awk '$1 == "host:" { print $2 }')
cargo fetch --quiet --locked --target "$host" || fail "crates could not be fetched (see above); check the network and run again"
