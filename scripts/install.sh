#!/usr/bin/env bash
# Installs the built program with all that belongs to it: scripts/install.sh PREFIX [DESTDIR]. The one place that says what lies where;
# the Debian package is made of what this installs. Run by `make install`, which builds before;
# PROFILE=debug takes that build instead of the release.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${1:?usage: scripts/install.sh PREFIX [DESTDIR]}
root=${2:-}
target=${CARGO_TARGET_DIR:-target}
program=$target/${PROFILE:-release}/gradcast
libtorch=${LIBTORCH:-.libtorch}
# Configuration and its place are the system's where the program is the system's.
if [ "$prefix" = /usr ] || [ "$prefix" = /usr/local ]; then configuration=/etc/gradcast; else configuration=$prefix/etc/gradcast; fi

fail() { echo "install: $1" >&2; exit 1; }
put() { # MODE FILE... FOLDER
    local mode=$1 folder=${*: -1}
    install -d "$root$folder"
    install -m "$mode" "${@:2:$#-2}" "$root$folder"
}
# A text with the paths of this installation.
put_text() { # FILE FOLDER
    put 644 "$1" "$2"
    sed -i -e "s|/usr/bin/gradcast|$prefix/bin/gradcast|g" -e "s|/etc/gradcast/|$configuration/|g" "$root$2/${1##*/}"
}

[ -x "$program" ] || fail "$program is not there; run make build"
[ -d target/man ] && [ -d target/completions ] || fail "man pages and completions are not there; run make man completions"
command -v chrpath >/dev/null || fail "needs chrpath; run make setup"

put 755 "$program" "$prefix/bin"
strip --strip-unneeded "$root$prefix/bin/gradcast"
# The program looks for libtorch where it was built, too; an installed one must not.
chrpath -r '$ORIGIN/../lib/gradcast' "$root$prefix/bin/gradcast" >/dev/null

# A libtorch of the user's own may have more libraries than these, and may come without NVIDIA's.
for library in libtorch_cpu.so libc10.so; do [ -e "$libtorch/lib/$library" ] || fail "$libtorch/lib/$library is not there; set LIBTORCH to the libtorch that the program was built with"; done
for library in "$libtorch"/lib/{libtorch_cpu.so,libc10.so,libgomp*.so*,libcudart.so.*,libcupti.so.*}; do
    [ ! -e "$library" ] || put 644 "$library" "$prefix/lib/gradcast"
done

put 644 models/*.onnx models/*.toml models/*.txt models/README.md "$prefix/share/gradcast/models"
put 644 target/man/*.1 "$prefix/share/man/man1"
put 644 "target/completions/gradcast.bash" "$prefix/share/bash-completion/completions"
mv "$root$prefix/share/bash-completion/completions/gradcast.bash" "$root$prefix/share/bash-completion/completions/gradcast"
put 644 "target/completions/gradcast.fish" "$prefix/share/fish/vendor_completions.d"
put 644 "target/completions/_gradcast" "$prefix/share/zsh/vendor-completions"

for unit in gradcast.service gradcast@.service; do put_text "systemd/$unit" "$prefix/lib/systemd/system"; done
put 644 systemd/gradcast.sysusers.conf "$prefix/lib/sysusers.d"
mv "$root$prefix/lib/sysusers.d/gradcast.sysusers.conf" "$root$prefix/lib/sysusers.d/gradcast.conf"
put 644 monitoring/*.json monitoring/*.yml monitoring/README.md "$prefix/share/gradcast/monitoring"

documents=$prefix/share/doc/gradcast
put 644 README.md CHANGELOG.md NOTICE LICENSE-APACHE LICENSE-MIT docs/*.md "$documents"
put_text systemd/gradcast.toml "$documents"
[ ! -d "$libtorch/licences" ] || put 644 "$libtorch"/licences/* "$documents/libtorch"
[ -e "$root$configuration/gradcast.toml" ] || put_text systemd/gradcast.toml "$configuration"
echo "install: gradcast in $root$prefix, its configuration in $root$configuration"
