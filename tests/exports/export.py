#!/usr/bin/env python3
"""Exports networks by both of torch's ONNX exporters and holds what gradcast explains against a slow float64 reference.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python export.py --reference fullgrad_reference.py --gradcast ../../target/release/gradcast --list torchvision

The reference is a module with explain(model, x), as float64 tensors. A network that torch.fx cannot trace is judged by its residual only.
Prints a table and appends a JSON line an export to --log; what stands there is not done again. Not part of `make test`.
"""
import argparse
import contextlib
import copy
import importlib.util
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import torch
from safetensors.torch import load_file, save_file

import networks

# (name, dynamo, opset, folded)
EXPORTS = [("torchscript", False, opset, folded) for opset in (11, 13, 17) for folded in (True, False)]
EXPORTS += [("dynamo", True, opset, folded) for opset in (18, 20) for folded in (True, False)]
BOUNDS = {"map": 1e-4, "logits": 1e-4, "input_term": 1e-4, "bias_term_total": 1e-4, "residual": 1e-9}


def reference(path):
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.explain


def export(net, x, path, dynamo, opset, folded):
    """Folded: BatchNormalization worked into convolutions, constants folded; in f64, since rounding of what is folded would flip masks
    of rectifiers. Else in f32, with as little done as the exporter can be told to."""
    net, x = (copy.deepcopy(net).double(), x.double()) if folded else (net, x)
    names = {"input_names": ["input"], "output_names": ["logits"], "opset_version": opset}
    quiet = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = ({0: torch.export.Dim("N", min=1, max=64)},)
            try:
                torch.onnx.export(net, (x,), str(path), dynamo=True, optimize=folded, dynamic_shapes=shapes, external_data=False, **names)
            except Exception:  # networks that fix the batch
                torch.onnx.export(net, (x[:1],), str(path), dynamo=True, optimize=folded, external_data=False, **names)
        else:
            mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
            torch.onnx.export(net, (x,), str(path), dynamo=False, do_constant_folding=folded, training=mode,
                              dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}}, **names)


def explained(gradcast, onnx, x, target, folder):
    given, answer = folder / "in.safetensors", folder / "out.safetensors"
    save_file({"input": x.contiguous(), "target": target.contiguous()}, str(given))
    command = [gradcast, "explain", "--model", str(onnx), "--tensor", str(given), "--save", str(answer), "--precision", "f64", "--force"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if run.returncode:
        raise RuntimeError(run.stderr.strip().splitlines()[0] if run.stderr.strip() else f"exit code {run.returncode}")
    return load_file(str(answer))


def errors(found, golden):
    """Each error over its scale, of the worst image; golden may be None."""
    result = {"residual": found["residual"].max().item()}
    if golden is None:
        return result
    for name in ("map", "logits"):
        a, b = found[name].double().flatten(1), golden[name].double().flatten(1)
        result[name] = ((a - b).abs().amax(1) / b.abs().amax(1)).max().item()
    for name in ("input_term", "bias_term_total"):
        scale = torch.maximum(golden["value"].abs(), golden[name].abs())
        result[name] = ((found[name].double() - golden[name]).abs() / scale).max().item()
    return result


def judge(explain, net, x):
    """The reference's answer, and why there is none."""
    try:
        answer = explain(copy.deepcopy(net), x)
    except Exception as error:  # torch.fx stops at control flow
        return None, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    answer["bias_term_total"] = sum(answer["bias_terms"].values())
    return answer, ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--gradcast", required=True)
    parser.add_argument("--list", choices=["torchvision", "timm", "small"], default="torchvision")
    parser.add_argument("--only", nargs="*", help="names of networks")
    parser.add_argument("--exports", nargs="*", help="as torchscript-17, dynamo-20-unfolded")
    parser.add_argument("--log", default="exports.jsonl")
    given = parser.parse_args()
    explain = reference(given.reference)
    log = pathlib.Path(given.log)
    done = {(row["network"], row["export"]) for row in map(json.loads, log.read_text().splitlines())} if log.exists() else set()
    choice = {"torchvision": networks.torchvision_families, "timm": networks.timm_networks, "small": networks.small_networks}[given.list]()
    failed = 0
    for name, (make, size) in choice.items():
        if given.only and name not in given.only:
            continue
        wanted = []
        for exporter, dynamo, opset, folded in EXPORTS:
            label = f"{exporter}-{opset}" + ("" if folded else "-unfolded")
            if (name, label) not in done and (not given.exports or label in given.exports):
                wanted.append((label, dynamo, opset, folded))
        if not wanted:
            continue
        torch.manual_seed(362)
        try:
            net = networks.unsettle(make().float(), size)
            x = networks.pictures(2, size)
        except Exception as error:
            print(f"{name:26} cannot be made: {error}", flush=True)
            continue
        golden, why = judge(explain, net, x)
        target = golden["target"] if golden else net(x).argmax(1)
        if why:
            print(f"{name:26} no reference: {why}", flush=True)
        for label, dynamo, opset, folded in wanted:
            row, started = {"network": name, "export": label, "judged": golden is not None}, time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                try:
                    export(net, x, folder / "net.onnx", dynamo, opset, folded)
                except Exception as error:
                    row["not_exported"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:150] if str(error) else ''}"
                else:
                    try:
                        row["errors"] = errors(explained(given.gradcast, folder / "net.onnx", x, target, folder), golden)
                        row["passed"] = all(row["errors"][key] <= BOUNDS[key] for key in row["errors"])
                    except Exception as error:
                        row["passed"], row["failure"] = False, str(error)
            failed += row.get("passed") is False
            found = row.get("errors", {})
            said = row.get("not_exported") or row.get("failure") or "  ".join(f"{key} {found[key]:.1e}" for key in BOUNDS if key in found)
            mark = "not exported" if "not_exported" in row else "passed" if row["passed"] else "FAILED"
            print(f"{name:26} {label:24} {mark:12} {said}  ({time.monotonic() - started:.0f} s)", flush=True)
            with log.open("a") as out:
                out.write(json.dumps(row) + "\n")
    print(f"{failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
