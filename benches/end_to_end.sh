#!/usr/bin/env bash
# CPU seconds (user and system) a frame of `gradcast overlay` beside what it cannot do without: the same video decoded and re-encoded by
# gst-launch with the same settings of the encoder, plus FullGrad alone as `gradcast bench` measures it with as many threads.
#   benches/end_to_end.sh [RUNS [CLIP.mp4]]
# Runs are paired: each round does all three, so that a busy machine disturbs them alike; medians of the rounds are shown.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-5} clip=${2:-media/bigbuckbunny.mp4} loops=5
gradcast=target/release/gradcast threads=$(nproc)
[ -x "$gradcast" ] || { echo "end_to_end: build first: make build" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# CPU seconds of a command, to standard output.
cpu_seconds() {
    local TIMEFORMAT='%U %S'
    { time "$@" >"$work/out" 2>"$work/err"; } 2>&1 | awk '{ print $1 + $2 }'
}
median() { sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
frames_of() { ffprobe -v error -select_streams v:0 -count_packets -show_entries stream=nb_read_packets -of csv=p=0 "$1"; }

recode() {
    cpu_seconds gst-launch-1.0 -q filesrc location="$1" ! qtdemux ! h264parse ! avdec_h264 \
        ! x264enc speed-preset=veryfast pass=qual quantizer=23 vbv-buf-capacity=0 key-int-max=25 \
        ! h264parse ! mp4mux ! filesink location="$work/recoded.mp4"
}
overlay() { cpu_seconds "$gradcast" overlay "$1" -o "$work/overlaid.mp4" --force --audio drop --precision f32 --threads "$threads" "${@:2}"; }
# Milliseconds of CPU a frame.
fullgrad() { "$gradcast" bench --precision f32 --threads "$threads" --json | sed 's/.*"fullgrad_ms_per_frame":\([0-9.e-]*\).*/\1/' | awk -v t="$threads" '{ print $1 * t }'; }

long=$work/long.mp4
ffmpeg -nostdin -v error -stream_loop $((loops - 1)) -i "$clip" -an -c copy "$long"
echo "$clip: $runs rounds, $threads threads; CPU ms a frame, medians"
printf '%-22s %10s %10s %10s %10s %8s\n' video recode fullgrad overlay 'every 1000' ratio
for video in "$clip" "$long"; do
    frames=$(frames_of "$video")
    for part in recoded network overlaid bare; do : >"$work/$part.txt"; done
    for _ in $(seq "$runs"); do
        recode "$video" >>"$work/recoded.txt"
        fullgrad >>"$work/network.txt"
        overlay "$video" >>"$work/overlaid.txt"
        overlay "$video" --every 1000 >>"$work/bare.txt"
    done
    name="$frames frames"
    awk -v name="$name" -v frames="$frames" -v recoded="$(median <"$work/recoded.txt")" -v network="$(median <"$work/network.txt")" \
        -v overlaid="$(median <"$work/overlaid.txt")" -v bare="$(median <"$work/bare.txt")" 'BEGIN {
            scale = 1000 / frames
            printf "%-22s %10.2f %10.2f %10.2f %10.2f %8.2f\n", name, recoded * scale, network, overlaid * scale, bare * scale, overlaid * scale / (recoded * scale + network)
        }'
done
