#!/usr/bin/env bash
# Overlays the bundled clip with target/release/gradcast: demo.mp4, and a still from its middle, demo.png.
set -euo pipefail
cd "$(dirname "$0")/.."

target/release/gradcast overlay media/demo_clip.mp4 -o demo.mp4 --force --caption
seconds=$(ffprobe -v error -show_entries format=duration -of default=noprint_wrappers=1:nokey=1 demo.mp4)
middle=$(awk -v seconds="$seconds" 'BEGIN { print seconds / 2 }')
ffmpeg -v error -y -ss "$middle" -i demo.mp4 -frames:v 1 -update 1 demo.png
echo "video: $PWD/demo.mp4"
echo "still: $PWD/demo.png"
