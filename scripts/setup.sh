#!/usr/bin/env bash
# Installs what is missing to build, run and test: Debian packages by apt, libtorch, the Rust toolchain that rust-toolchain.toml
# pins, crates. Does nothing, and needs no network, where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "set-up: $1" >&2; exit 1; }

packages=(
    g++ pkg-config ca-certificates
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
    ffmpeg # the tests make clips with it and check results by ffprobe
)
# The page's tests. Elsewhere Chromium comes as a snap, or under another name.
if [ "$(. /etc/os-release 2>/dev/null && echo "${ID:-}")" = debian ]; then
    packages+=(chromium chromium-driver)
fi
if [ -z "${LIBTORCH:-}${LIBTORCH_USE_PYTORCH:-}" ] && ! cmp -s .libtorch/.wheels scripts/libtorch-wheels.txt; then
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
        trap 'rm -f "$log"' EXIT
        apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1; }
        if ! { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; }; then
            tail -n 15 "$log" >&2
            fail "apt-get could not install ${missing[*]} (see above); install them by hand and run again"
        fi
    fi
else
    for tool in c++ pkg-config ffmpeg; do
        command -v "$tool" >/dev/null || fail "needs $tool, and this is no Debian or Ubuntu; install it and run again"
    done
fi
pkg-config --exists 'gstreamer-app-1.0 >= 1.22' 'gstreamer-video-1.0 >= 1.22' \
    || fail "needs GStreamer 1.22 or newer with its development files (app, video) and the base, good, bad, ugly and libav plugins; there is $(pkg-config --modversion gstreamer-app-1.0 2>/dev/null || echo none); install a newer one (Debian 12 and Ubuntu 24.04 have it) and run again"

scripts/libtorch.sh

command -v cargo >/dev/null || fail "needs cargo; install rustup (https://rustup.rs) and run again"
# rustup fetches the pinned toolchain at its first use, unless it is told not to.
cargo --version >/dev/null 2>&1 || rustup toolchain install || fail "the Rust toolchain that rust-toolchain.toml pins could not be had (see above); check the network, or run: rustup toolchain install"
host=$(rustc -vV | awk '$1 == "host:" { print $2 }')
cargo fetch --quiet --locked --target "$host" || fail "crates could not be fetched (see above); check the network and run again"
