#!/usr/bin/env python3
"""Writes resnet18.onnx and resnet50.onnx for compare.py: torchvision's networks with drawn weights, since a time does not depend on them.

    target/engines/bin/pip install torch==2.11.0 torchvision==0.26.0 onnx
    target/engines/bin/python benches/inference_engines/resnets.py target/engines
"""
import pathlib
import sys

import torch
import torchvision

folder = pathlib.Path(sys.argv[1])
for name in ("resnet18", "resnet50"):
    torch.manual_seed(0)
    net = torchvision.models.get_model(name, weights=None).eval()
    for norm in (module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        # A fresh norm does nothing: its shift is zero, and there would be fewer terms than a trained network has.
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.8, 1.2)
        norm.weight.data.uniform_(0.5, 1.0)
        norm.bias.data.normal_(0, 0.1)
    torch.onnx.export(net, (torch.randn(1, 3, 224, 224),), str(folder / f"{name}.onnx"), dynamo=False, opset_version=17,
                      input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})
