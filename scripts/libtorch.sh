#!/usr/bin/env bash
# Makes .libtorch/: the CPU part of libtorch 2.11.0, taken from its PyPI wheel.
# Does nothing where it is already there, or where LIBTORCH or LIBTORCH_USE_PYTORCH names one of the user's own.
set -euo pipefail
cd "$(dirname "$0")/.."
home=.libtorch
stamp=$home/.wheels

fail() { echo "libtorch: $1" >&2; exit 1; }

[ -z "${LIBTORCH_USE_PYTORCH:-}" ] || { echo "libtorch: the Python environment's own (LIBTORCH_USE_PYTORCH is set)"; exit 0; }
if [ -n "${LIBTORCH:-}" ]; then
    [ -d "$LIBTORCH/lib" ] || fail "LIBTORCH=$LIBTORCH has no lib folder; set it to the folder that holds lib and include, or unset it"
    echo "libtorch: $LIBTORCH (LIBTORCH is set)"
    exit 0
fi
# NVIDIA's licence, one text in both of its wheels, goes where its two libraries go.
nvidia=licences/nvidia.txt
cmp -s "$stamp" scripts/libtorch-wheels.txt && [ -e "$home/$nvidia" ] && exit 0

[ "$(uname -sm)" = "Linux x86_64" ] || fail "no CPU libtorch is fetched for $(uname -sm); install libtorch 2.11.0 yourself and set LIBTORCH to its folder"
python3 -m pip --version >/dev/null 2>&1 || fail "needs python3 with pip to fetch the wheel; install python3-pip, or set LIBTORCH to a libtorch 2.11.0 of your own"
command -v unzip >/dev/null || fail "needs unzip; install it, or set LIBTORCH to a libtorch 2.11.0 of your own"
free_kib=$(df -Pk . | awk 'NR == 2 { print $4 }')
[ "$free_kib" -gt $((2 * 1024 * 1024)) ] || fail "needs 2 GiB of free disk in $PWD, has $((free_kib / 1024)) MiB; free some and run again"

work=$(mktemp -d "$PWD/.libtorch-fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
# The wheels are unpacked and may be kept where TMPDIR points; a small /tmp would not hold them.
wheels() { # REQUIREMENTS
    TMPDIR=$work python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes -r "$1" -d "$work/wheels" \
        --implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 \
        || fail "pip could not fetch torch 2.11.0 (see above); check the network, or set LIBTORCH to a libtorch 2.11.0 of your own"
}
if cmp -s "$stamp" scripts/libtorch-wheels.txt; then
    echo "libtorch: fetching NVIDIA's licence (2 MB, once)"
    grep nvidia-cuda-runtime scripts/libtorch-wheels.txt > "$work/one.txt"
    wheels "$work/one.txt"
    unzip -p "$work"/wheels/nvidia_cuda_runtime-*.whl '*/licenses/License.txt' > "$work/nvidia.txt"
    mv "$work/nvidia.txt" "$home/$nvidia"
    exit 0
fi
echo "libtorch: fetching the wheel (530 MB, once)"
wheels scripts/libtorch-wheels.txt

mkdir -p "$work/out/lib"
unzip -q "$work"/wheels/torch-*.whl 'torch/include/*' 'torch/lib/libtorch_cpu.so' 'torch/lib/libc10.so' 'torch/lib/libgomp*' 'torch-*.dist-info/licenses/*' -d "$work/torch"
unzip -qj "$work"/wheels/nvidia_cuda_runtime-*.whl '*/libcudart.so.13' -d "$work/out/lib"
unzip -qj "$work"/wheels/nvidia_cuda_cupti-*.whl '*/libcupti.so.13' -d "$work/out/lib"
mv "$work"/torch/torch/include "$work/out/include"
mv "$work"/torch/torch/lib/* "$work/out/lib/"
mv "$work"/torch/torch-*.dist-info/licenses "$work/out/licences"
unzip -p "$work"/wheels/nvidia_cuda_runtime-*.whl '*/licenses/License.txt' > "$work/out/$nvidia"
# The wheel's own libtorch.so pulls in CUDA; this linker script stands in for it.
echo 'INPUT(-ltorch_cpu)' > "$work/out/lib/libtorch.so"
cp scripts/libtorch-wheels.txt "$work/out/.wheels"
rm -rf "$home"
mv "$work/out" "$home"
echo "libtorch: ready in $home"
