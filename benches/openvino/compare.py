#!/usr/bin/env python3
"""FullGrad by gradcast against OpenVINO's forward pass of the same network, in turn, on the same threads.

    make build
    python3 -m venv target/openvino && target/openvino/bin/pip install -r benches/openvino/requirements.txt
    target/openvino/bin/python benches/openvino/compare.py [--model models/efficientnet_lite0.onnx] [--batch 8] [--threads 2] [--rounds 5]

Each round measures OpenVINO (median of at least 20 batches) and then `gradcast bench`; the ratio is taken round by round, since machines
drift, and its median is what counts. Twice the forward pass is the floor: a gradient needs as many multiplications again.
OpenVINO is not a part of the product; this is the only place that knows it.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import time

import numpy as np
import openvino

ROOT = pathlib.Path(__file__).resolve().parents[2]


def openvino_forward(args, precision):
    """A function that gives the forward pass's median ms a frame."""
    core = openvino.Core()
    model = core.read_model(args.model)
    shape = [args.batch] + [d.get_length() for d in list(model.inputs[0].partial_shape)[1:]]
    model.reshape({model.inputs[0].any_name: shape})
    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": args.threads, "NUM_STREAMS": 1}
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def measure():
        times = []
        for _ in range(23):
            start = time.perf_counter()
            request.infer({0: x})
            times.append(time.perf_counter() - start)
        return statistics.median(times[3:]) / args.batch * 1e3

    return measure


def gradcast(args, precision):
    """`gradcast bench`, as its JSON."""
    command = [ROOT / "target/release/gradcast", "bench", "--json", "--model", args.model, "--batch", str(args.batch),
               "--threads", str(args.threads), "--precision", precision]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(ROOT / "models/efficientnet_lite0.onnx"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(f"{pathlib.Path(args.model).stem}, batch {args.batch}, {args.threads} threads; ms a frame, median (min to max) of {args.rounds} rounds")
    for precision in ("f32", "bf16"):
        forward = openvino_forward(args, precision)
        rows = []
        for _ in range(args.rounds):
            reference, ours = forward(), gradcast(args, precision)
            rows.append((reference, ours["forward_ms_per_frame"], ours["fullgrad_ms_per_frame"], ours["fullgrad_ms_per_frame"] / reference))
        names = ("OpenVINO forward", "gradcast forward", "gradcast FullGrad", "FullGrad / OpenVINO forward")
        for name, values in zip(names, zip(*rows)):
            print(f"  {precision:5}{name:28}{statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
