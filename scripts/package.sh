#!/usr/bin/env bash
# Makes target/debian/gradcast_VERSION_ARCHITECTURE.deb of what scripts/install.sh installs. Run by `make deb`, which builds before.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo_deb_version=3.8.0

fail() { echo "package: $1" >&2; exit 1; }

libtorch=${LIBTORCH:-.libtorch}
# What is passed on goes with its licence: torch's and, where its libraries are there, NVIDIA's.
[ -e "$libtorch/licences/LICENSE" ] || fail "$libtorch/licences has no LICENSE; a package contains libtorch, so put its licence there, or unset LIBTORCH and run make setup"
[ ! -e "$libtorch/lib/libcudart.so.13" ] || [ -e "$libtorch/licences/nvidia.txt" ] || fail "$libtorch/licences has no nvidia.txt, the licence of libcudart and libcupti; unset LIBTORCH and run make setup, which fetches it"

tool=target/tools/bin/cargo-deb
if [ "$("$tool" --version 2>/dev/null || true)" != "cargo-deb $cargo_deb_version" ]; then
    echo "package: building cargo-deb $cargo_deb_version, once"
    # A target folder of its own: its crates are not the program's.
    env -u CARGO_TARGET_DIR cargo install --quiet --locked --root target/tools --target-dir target/tools/build --version "$cargo_deb_version" cargo-deb \
        || fail "cargo-deb could not be built (see above); check the network and run again"
    rm -rf target/tools/build
fi

rm -rf target/package target/debian
scripts/install.sh /usr target/package >/dev/null
mkdir -p target/debian
# libtorch is most of it; the best compression would take minutes for a tenth less.
"$tool" --quiet --locked --no-build --no-strip --no-dbgsym --no-separate-debug-symbols --fast --output target/debian/
echo "package: $(ls target/debian/*.deb), $(($(stat -c %s target/debian/*.deb) / 1024 / 1024)) MiB"
