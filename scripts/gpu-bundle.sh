#!/usr/bin/env bash
# Makes target/gpu-bundle/: all that a machine with an NVIDIA card, Python and torch 2.11.0 needs to run the CUDA checks, and nothing that
# it has. It has no Rust, no GStreamer and no network; at most 64 MiB can be brought along.
# There: gpu-bundle/checks.sh
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
bundle=target/gpu-bundle
most_mib=64

fail() { echo "gpu-bundle: $1" >&2; exit 1; }
command -v strip >/dev/null || fail "needs strip; install binutils"

cargo build --locked --release
# In the profile that tests are built in anyway; what it is timed for is the program.
tests=$(cargo test --locked --test cuda --no-run --message-format=json | grep -F '"kind":["test"]' | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$tests" ] || fail "the test program of tests/cuda.rs was not built; see what cargo test --test cuda --no-run says"

rm -rf "$bundle"
mkdir -p "$bundle/lib" "$bundle/models" "$bundle/golden"
strip -o "$bundle/gradcast" "$target/release/gradcast"
strip -o "$bundle/cuda-tests" "$tests"
# The system's own C and C++ libraries and libtorch with its companions are there.
there='^(ld-linux.*|libc|libm|libdl|librt|libpthread|libresolv|libutil|libstdc\+\+|libgcc_s|libtorch.*|libc10.*|libgomp|libcudart|libcupti)\.so'
ldd "$target/release/gradcast" | while read -r name arrow path _; do
    [ "$arrow" = "=>" ] || continue
    [[ $name =~ $there ]] && continue
    [ -f "$path" ] || fail "$name is not found on this machine; see ldd $target/release/gradcast"
    cp -L "$path" "$bundle/lib/$name"
    strip --strip-unneeded "$bundle/lib/$name" 2>/dev/null || true
done
cp models/efficientnet_lite0.* "$bundle/models/"
[ ! -f models/imagenet1k.txt ] || cp models/imagenet1k.txt "$bundle/models/"
# Golden answers lie beside the project and are no part of it; without them the checks say so.
[ ! -d ../shared/golden ] || cp ../shared/golden/* "$bundle/golden/"
cp scripts/gpu_checks.py scripts/gpu_fault.c "$bundle/"
cat > "$bundle/checks.sh" <<'CHECKS'
#!/usr/bin/env bash
# Runs the CUDA checks: results.json and results.md beside this file, or in the folder that --out names.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
torch=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__file__))')
# The nvidia packages lie beside torch, each with a lib folder.
nvidia=$(find "$(dirname "$torch")/nvidia" -maxdepth 3 -type d -name lib 2>/dev/null | paste -sd: || true)
export LD_LIBRARY_PATH="$here/lib:$torch/lib${nvidia:+:$nvidia}" GRADCAST_MODELS="$here/models"
exec "$python" "$here/gpu_checks.py" --bundle "$here" "$@"
CHECKS
chmod +x "$bundle/checks.sh"
chmod -R u+w "$bundle"
kib=$(du -sk --apparent-size "$bundle" | cut -f1)
[ "$kib" -le $((most_mib * 1024)) ] || fail "$bundle has $((kib / 1024)) MiB, at most $most_mib can be brought along"
echo "gpu-bundle: $bundle, $((kib / 1024)) MiB; there: gpu-bundle/checks.sh"
