# `make` lists the targets. Each does its own set-up; a second run fetches nothing.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
# rustup's folder, for a shell that was open before rustup was installed.
export PATH := $(PATH):$(HOME)/.cargo/bin
.DEFAULT_GOAL := help
.PHONY: help setup build demo cameras test bench bench-live soak http-fuzz gpu-bundle man completions install deb package-test under-unit try-unit docs clean
# Where `make install` puts things: DESTDIR goes before it.
PREFIX ?= /usr/local
# Which build is installed and packed: release or debug.
export PROFILE ?= release

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing: Debian packages, libtorch, the Rust toolchain, crates
	@scripts/setup.sh

build: setup ## Build target/release/gradcast
	@cargo build --locked $(if $(filter debug,$(PROFILE)),,--release)

demo: build ## Overlay the bundled clip: demo.mp4 and a still, demo.png
	@scripts/demo.sh

cameras: setup ## Serve the bundled clips as two cameras until Ctrl-C: rtsp://127.0.0.1:8555/one and /two
	@cargo run --quiet --locked --release --example cameras

test: setup ## Run every test
	@cargo test --locked

bench: build ## Measure the default network here: milliseconds a frame, forward pass and FullGrad, and from file to file
	@target/release/gradcast bench --precision f32
	@target/release/gradcast bench --precision bf16
	@benches/end_to_end.sh

bench-live: build ## Measure live streams here: added latency, CPU and memory for 1 to 16, and GStreamer alone beside it (six minutes)
	@GRADCAST_PROGRAM=$(CURDIR)/target/release/gradcast cargo test --quiet --locked --bench live

soak: build ## Four streams and a fault every ten seconds for MINUTES=20; the report goes to target/soak.md
	@GRADCAST_PROGRAM=$(CURDIR)/target/release/gradcast GRADCAST_SOAK_MINUTES=$(or $(MINUTES),20) GRADCAST_SOAK_REPORT=$(CURDIR)/target/soak.md cargo test --quiet --locked --test soak -- --nocapture

http-fuzz: setup ## Send the HTTP API good and bad requests for SECONDS=60, and hold the answers against its OpenAPI document
	@scripts/http-fuzz.sh $(SECONDS)

gpu-bundle: setup ## Put the CUDA checks and the program together for another machine: target/gpu-bundle
	@scripts/gpu-bundle.sh

man: setup ## Write man pages to target/man
	@cargo run --quiet --locked --example manuals -- man target/man

completions: setup ## Write completions for bash, fish and zsh to target/completions
	@cargo run --quiet --locked --example manuals -- completions target/completions

install: build man completions ## Install below PREFIX [/usr/local], in DESTDIR: program, libtorch, units, man pages, a first configuration
	@scripts/install.sh "$(PREFIX)" "$(DESTDIR)"

deb: build man completions ## Make a Debian package of all that: target/debian
	@scripts/package.sh

package-test: deb ## Install the package, use it, upgrade and remove it, in a root of its own (as root or by sudo)
	@scripts/package-test.sh

under-unit: build man completions ## Run an overlay as systemd would run the daemon, under all restrictions of its unit (whole as root, else in part)
	@scripts/under-unit.sh gradcast overlay media/demo_clip.mp4 -o '$${STATE_DIRECTORY}/out.mp4' --duration 3

try-unit: build man completions ## Start, reload and stop the unit itself in a systemd of its own (as root or by sudo)
	@scripts/under-unit.sh --service

docs: setup ## Write the library's documentation to target/doc
	@RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

clean: ## Remove what was built and made here; libtorch stays in .libtorch
	@rm -rf target demo.mp4 demo.png
