#!/usr/bin/env python3
"""The CUDA checks of gradcast, in one run: golden answers, times beside PyTorch's, two workers, memory that ends, a device that fails.

Started by checks.sh of target/gpu-bundle, which sets the library path. Writes results.json and results.md. Ends with 1 where a check
fails; a check that cannot run here is reported as not run, with the reason. --device cpu tries the program itself.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import torch

KINDS = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}
NAMES = {kind: name for name, kind in KINDS.items()}
BATCHES = [1, 8, 32, 64]
# Of a map's largest value, and of |f|: the tolerances of docs/method.md.
MAP_F32, RESIDUAL_F32, RANKS = 2e-3, 1e-4, {"bf16": 0.99, "f16": 0.998}


def read(path):
    """A safetensors file as a dict of tensors."""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            flat = torch.frombuffer(bytearray(data[8 + length + first : 8 + length + last]), dtype=KINDS[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


def write(path, tensors):
    header, body = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().numpy().tobytes()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


class Checks:
    def __init__(self, options):
        self.bundle, self.device = options.bundle, options.device
        self.batches = [batch for batch in BATCHES if batch <= options.most]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gradcast-checks-"))
        self.rows = []

    def note(self, check, ok, **values):
        """`ok` is None for what was only measured, or not run."""
        self.rows.append({"check": check, "ok": ok, **values})
        told = "" if ok is None else "ok   " if ok else "FAILED"
        print(f"{told:6} {check}: " + ", ".join(f"{key} {short(value)}" for key, value in values.items()), flush=True)

    def gradcast(self, *arguments, environment=None, program="gradcast", timeout=600):
        command = [str(self.bundle / program), *map(str, arguments)]
        return subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=timeout)

    def explain(self, network, tensors, *arguments, environment=None):
        """Answers of `explain --tensor`, and what it says on standard error."""
        source, target = self.folder / "in.safetensors", self.folder / "out.safetensors"
        write(source, tensors)
        run = self.gradcast("explain", "--tensor", source, "--save", target, "--force", "--model", network, "--device", self.device,
                            *arguments, environment=environment)
        return (read(target), run.stderr) if run.returncode == 0 else (None, run.stderr)

    def golden(self):
        folder = self.bundle / "golden"
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            return self.note("golden", None, not_run="no golden files are in the bundle")
        for file in files:
            golden = read(file)
            network = folder / (file.stem + ".onnx")
            network = network if network.is_file() else file.stem
            for precision in ["f32", "bf16", "f16"]:
                name = f"golden {file.stem} {precision}"
                found, told = self.explain(network, {"input": golden["input"].float(), "target": golden["target"]}, "--precision", precision)
                if found is None:
                    self.note(name, False, error=told.strip().splitlines()[0] if told.strip() else "no message")
                    continue
                error, residual = relative(found["map"], golden["map"]), found["residual"].max().item()
                if precision == "f32":
                    self.note(name, error <= MAP_F32 and residual <= RESIDUAL_F32, map=error, residual=residual)
                    continue
                ranks = min(rank_correlation(a, b) for a, b in zip(found["map"], golden["map"]))
                # The bound is one for photographs; on the small random networks the number is shown.
                ok = ranks >= RANKS[precision] if file.stem == "efficientnet_lite0" else None
                self.note(name, ok, rank_correlation=ranks, map=error, residual=residual)

    def bench(self, network, name, precisions):
        for precision in precisions:
            for batch in self.batches:
                self.measure(f"bench {name} {precision} batch {batch}", network, precision, batch)

    def measure(self, check, network, precision, batch, *arguments):
        run = self.gradcast("bench", "--model", network, "--device", self.device, "--precision", precision, "--batch", batch, "--json", *arguments)
        if run.returncode != 0:
            return self.note(check, False, error=run.stderr.strip().splitlines()[0] if run.stderr.strip() else f"exit code {run.returncode}")
        result = json.loads(run.stdout)
        self.note(check, True, explained_per_s=1e3 / result["fullgrad_ms_per_frame"], forward_per_s=1e3 / result["forward_ms_per_frame"],
                  peak_over_kept=result["peak_tensor_bytes"] / max(result["kept_activations_bytes"], 1), bench=result)

    def two_workers(self):
        for batch in self.batches:
            self.measure(f"two workers on one device, batch {batch}", "efficientnet_lite0", "bf16", batch, "--workers", 2)
        run = self.gradcast("--nocapture", program="cuda-tests")
        self.tests("two workers on one device give what the processor gives", run, "two_workers_on_one_device_give_what_the_processor_gives")

    def tests(self, check, run, name):
        if "skipped: " in run.stderr and self.device == "cpu":
            return self.note(check, None, not_run="--device cpu")
        lines = [line for line in run.stdout.splitlines() if line.startswith(f"test {name}")]
        passed = run.returncode == 0 and lines and lines[0].endswith("ok") and "no NVIDIA driver" not in run.stderr
        self.note(check, bool(passed), told=(run.stderr.strip().splitlines() or ["nothing"])[-1])

    def out_of_memory(self):
        if self.device == "cpu":
            return self.note("out of memory", None, not_run="--device cpu")
        torch.manual_seed(1)
        images = {"input": torch.randn(max(self.batches), 3, 224, 224)}
        wanted, told = self.explain("efficientnet_lite0", images, "--batch", 4)
        # Of the card's memory; libtorch's allocator refuses more.
        total = torch.cuda.get_device_properties(0).total_memory
        share = f"per_process_memory_fraction:{1.5 * 2**30 / total:.4f}"
        found, told = self.explain("efficientnet_lite0", images, "--batch", max(self.batches),
                                   environment={"PYTORCH_ALLOC_CONF": share, "PYTORCH_CUDA_ALLOC_CONF": share})
        if wanted is None or found is None:
            return self.note("out of memory", False, error=(told.strip().splitlines() or ["no message"])[0])
        error = relative(found["map"], wanted["map"])
        self.note("out of memory", "memory did not suffice" in told and error <= MAP_F32, map=error, told=told.strip())

    def device_fault(self):
        if self.device == "cpu":
            return self.note("a worker whose device fails", None, not_run="--device cpu")
        fault = self.folder / "fault.so"
        made = subprocess.run(["cc", "-shared", "-fPIC", "-o", fault, self.bundle / "gpu_fault.c", "-ldl"], capture_output=True, text=True)
        if made.returncode != 0:
            return self.note("a worker whose device fails", None, not_run="cc: " + made.stderr.strip()[:200])
        run = self.gradcast("--nocapture", program="cuda-tests", environment={"LD_PRELOAD": str(fault), "FAULT_AT": "4"})
        self.tests("a worker whose device fails starts anew", run, "a_worker_whose_device_fails_starts_anew")

    def resnet50(self):
        """ResNet-50 with random weights, as a module and as a file for gradcast; None where torchvision is absent."""
        try:
            import torchvision
        except ImportError as error:
            self.note("ResNet-50", None, not_run=str(error))
            return None, None
        torch.manual_seed(1)
        module = torchvision.models.resnet50().eval()
        path = self.folder / "resnet50.onnx"
        try:
            torch.onnx.export(module, torch.zeros(1, 3, 224, 224), path, dynamo=False, opset_version=17, input_names=["input"],
                              output_names=["logits"], dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})
        except Exception as error:  # the exporter needs packages that may be absent
            self.note("ResNet-50 as ONNX", None, not_run=str(error).splitlines()[0])
            path = None
        return module, path

    def pytorch(self, module, name):
        """The same network in PyTorch: BatchNorm folded, channels last, bf16, as a CUDA graph where there is CUDA."""
        from torch.fx.experimental.optimization import fuse

        device = torch.device("cpu" if self.device == "cpu" else self.device)
        module = fuse(module.eval()).to(device=device, dtype=torch.bfloat16, memory_format=torch.channels_last).requires_grad_(False)
        for batch in self.batches:
            x = torch.randn(batch, 3, 224, 224, device=device, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
            wanted = x.clone().requires_grad_(True)
            seed = torch.zeros(batch, 1000, device=device, dtype=torch.bfloat16)
            seed[:, 281] = 1

            def forward():
                with torch.no_grad():
                    return module(x)

            def gradient():
                return torch.autograd.grad(module(wanted), wanted, seed)[0]

            for what, act in [("forward", forward), ("forward and gradient of the input", gradient)]:
                self.note(f"PyTorch {name} bf16 batch {batch}: {what}", None, per_s=batch / seconds(act, device))

    def floors(self):
        """What the card itself does: bytes copied a second (read and written), and bf16 multiplications and additions."""
        device = torch.device("cpu" if self.device == "cpu" else self.device)
        small = device.type == "cpu"
        source = torch.empty((1 << 26) if small else (1 << 30), dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        self.note("copy bandwidth", None, GB_per_s=2 * source.numel() / seconds(lambda: target.copy_(source), device) / 1e9)
        n = 1024 if small else 8192
        a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
        self.note("bf16 matmul", None, TFLOP_per_s=2 * n**3 / seconds(lambda: a @ b, device) / 1e12)


def seconds(act, device):
    """Median time of a call; on a card, of the replay of the call captured as a CUDA graph."""
    if device.type == "cpu":
        act()
        times = []
        for _ in range(5):
            start = time.perf_counter()
            act()
            times.append(time.perf_counter() - start)
        return statistics.median(times)
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                act()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            act()
        times = []
        for _ in range(5):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(20):
                graph.replay()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 20e3)
        return statistics.median(times)


def relative(found, golden):
    """The largest difference over the largest golden value, of the worst image."""
    found, golden = found.double().flatten(1), golden.double().flatten(1)
    return ((found - golden).abs().amax(1) / golden.abs().amax(1)).max().item()


def rank_correlation(a, b):
    ranks = [m.flatten().argsort().argsort().double() for m in (a, b)]
    a, b = (r - r.mean() for r in ranks)
    return ((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()).item()


def short(value):
    return f"{value:.4g}" if isinstance(value, float) else "(in results.json)" if isinstance(value, dict) else str(value)


def machine(device):
    cuda = device != "cpu" and torch.cuda.is_available()
    return {
        "date": datetime.date.today().isoformat(),
        "card": torch.cuda.get_device_name(device) if cuda else "none",
        "torch": torch.__version__,
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def table(about, rows):
    lines = [f"{key}: {value}" for key, value in about.items()] + ["", "| check | | |", "|---|---|---|"]
    for row in rows:
        verdict = {True: "ok", False: "FAILED", None: ""}[row["ok"]]
        values = ", ".join(f"{key} {short(value)}" for key, value in row.items() if key not in ("check", "ok", "bench"))
        lines.append(f"| {row['check']} | {verdict} | {values} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, help="folder for results.json and results.md [default: the bundle]")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--most", type=int, default=max(BATCHES), help="largest batch")
    parser.add_argument("--only", nargs="*", help="golden, bench, workers, memory, fault, pytorch, floors [default: all]")
    options = parser.parse_args()
    checks = Checks(options)
    asked = lambda name: not options.only or name in options.only
    said = checks.gradcast("check")
    print(said.stdout + said.stderr)
    if asked("golden"):
        checks.golden()
    if asked("floors"):
        checks.floors()
    if asked("bench"):
        checks.bench("efficientnet_lite0", "EfficientNet-Lite0", ["f32", "bf16", "f16"])
    if asked("bench") or asked("pytorch"):
        module, path = checks.resnet50()
        if path and asked("bench"):
            checks.bench(path, "ResNet-50", ["f32", "bf16", "f16"])
        if module and asked("pytorch"):
            checks.pytorch(module, "ResNet-50")
    if asked("workers"):
        checks.two_workers()
    if asked("memory"):
        checks.out_of_memory()
    if asked("fault"):
        checks.device_fault()
    out = options.out or options.bundle
    out.mkdir(parents=True, exist_ok=True)
    about = machine(options.device)
    (out / "results.json").write_text(json.dumps({"machine": about, "gradcast_check": said.stdout, "rows": checks.rows}, indent=1))
    (out / "results.md").write_text(table(about, checks.rows))
    failed = [row["check"] for row in checks.rows if row["ok"] is False]
    print(f"{len(checks.rows)} rows, {len(failed)} failed: {out / 'results.md'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
