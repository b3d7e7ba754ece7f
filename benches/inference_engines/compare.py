#!/usr/bin/env python3
"""FullGrad by gradcast against the forward pass of the same network by OpenVINO and by ONNX Runtime, in turn, on the same threads.

    make build
    python3 -m venv target/engines && target/engines/bin/pip install -r benches/inference_engines/requirements.txt
    target/engines/bin/python benches/inference_engines/compare.py [--model models/efficientnet_lite0.onnx] [--batch 8] [--threads 2] [--rounds 5]

Each round measures the engines (median of 20 batches after three) and then `gradcast bench`; the ratio is taken round by round, since
machines drift, and its median is what counts. Twice the forward pass is the floor: a gradient needs as many multiplications again.
The engines are not a part of the product; this is the only place that knows them. ONNX Runtime runs f32 only.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import time

import numpy as np
import onnxruntime
import openvino

ROOT = pathlib.Path(__file__).resolve().parents[2]


def median_ms(run, batch):
    """Milliseconds a frame of `run`, which computes one batch."""
    times = []
    for _ in range(23):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times[3:]) / batch * 1e3


def noise(shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def openvino_forward(args, precision):
    core = openvino.Core()
    model = core.read_model(args.model)
    shape = [args.batch] + [d.get_length() for d in list(model.inputs[0].partial_shape)[1:]]
    model.reshape({model.inputs[0].any_name: shape})
    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": args.threads, "NUM_STREAMS": 1}
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    x = noise(shape)
    return lambda: request.infer({0: x})


def onnxruntime_forward(args, precision):
    if precision != "f32":
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    x = noise([args.batch] + given.shape[1:])
    return lambda: session.run(None, {given.name: x})


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
        engines = {"OpenVINO": openvino_forward(args, precision), "ONNX Runtime": onnxruntime_forward(args, precision)}
        engines = {name: run for name, run in engines.items() if run}
        rows = []
        for _ in range(args.rounds):
            row = {f"{name} forward": median_ms(run, args.batch) for name, run in engines.items()}
            ours = gradcast(args, precision)
            row |= {"gradcast forward": ours["forward_ms_per_frame"], "gradcast FullGrad": ours["fullgrad_ms_per_frame"]}
            row |= {f"FullGrad / {name} forward": row["gradcast FullGrad"] / row[f"{name} forward"] for name in engines}
            rows.append(row)
        for name in rows[0]:
            values = [row[name] for row in rows]
            print(f"  {precision:5}{name:32}{statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
