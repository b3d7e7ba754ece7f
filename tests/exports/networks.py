"""Networks that export.py tries: torchvision's families, and some of timm's. Random weights made like trained ones."""
import torch
import torch.nn as nn


def classifier(net, inputs, classes=10):
    """AlexNet's and VGG's own has over 50 million weights; this one is as deep and narrow."""
    net.classifier = nn.Sequential(
        nn.Linear(inputs, 48), nn.ReLU(True), nn.Dropout(), nn.Linear(48, 48), nn.ReLU(True), nn.Dropout(), nn.Linear(48, classes))
    return net


def torchvision_families():
    """Name: (how to make it, input size). Sizes are the smallest at which every pool divides, so that it can be exported."""
    import torchvision.models as tv

    def net(name, size=64, **more):
        return lambda: getattr(tv, name)(weights=None, num_classes=10, **more), size

    return {
        "alexnet": (lambda: classifier(tv.alexnet(weights=None), 256 * 36), 224),
        "vgg11_bn": (lambda: classifier(tv.vgg11_bn(weights=None), 512 * 49), 224),
        "resnet18": net("resnet18"),
        "resnet50": net("resnet50"),
        "resnext50_32x4d": net("resnext50_32x4d"),
        "wide_resnet50_2": net("wide_resnet50_2"),
        "densenet121": net("densenet121"),
        "inception_v3": net("inception_v3", 96, init_weights=False, aux_logits=False),
        "googlenet": net("googlenet", init_weights=False, aux_logits=False),
        "squeezenet1_0": net("squeezenet1_0", 96),
        "squeezenet1_1": net("squeezenet1_1", 96),
        "shufflenet_v2_x0_5": net("shufflenet_v2_x0_5"),
        "mobilenet_v2": net("mobilenet_v2"),
        "mobilenet_v3_small": net("mobilenet_v3_small"),
        "mobilenet_v3_large": net("mobilenet_v3_large"),
        "mnasnet0_5": net("mnasnet0_5"),
        "efficientnet_b0": net("efficientnet_b0"),
        "efficientnet_v2_s": net("efficientnet_v2_s"),
        "regnet_x_400mf": net("regnet_x_400mf"),
        "regnet_y_400mf": net("regnet_y_400mf"),
        "convnext_tiny": net("convnext_tiny"),
    }


TIMM = {
    "resnet26d": 64, "seresnet33ts": 64, "skresnet18": 64, "resnest14d": 64, "res2net50_26w_4s": 64, "ese_vovnet19b_dw": 64, "dla34": 64,
    "hrnet_w18_small": 64, "cspresnet50": 64, "dpn68": 64, "xception41": 64, "inception_v4": 96, "selecsls42b": 64, "rexnet_100": 64,
    "tf_efficientnet_b0": 64, "tf_efficientnetv2_b0": 64, "efficientnet_lite0": 64, "mobilenetv4_conv_small": 64, "mobilenetv3_rw": 64,
    "ghostnet_100": 64, "repghostnet_050": 64, "lcnet_050": 64, "tinynet_e": 64, "mobileone_s0": 64, "repvgg_a0": 64, "gernet_s": 64,
    "eca_nfnet_l0": 64, "nf_regnet_b1": 64, "convnext_atto": 64, "convnextv2_atto": 64, "convmixer_768_32": 64, "inception_next_tiny": 64,
    "starnet_s1": 64, "regnety_002": 64, "poolformer_s12": 64, "poolformerv2_s12": 64, "resnetv2_50": 64, "bat_resnext26ts": 64,
    "fastvit_t8": 64, "repvit_m0_9": 64, "edgenext_xx_small": 64, "mobilevit_xxs": 64, "efficientformer_l1": 224, "visformer_tiny": 224,
    "vit_tiny_patch16_224": 224, "mixer_s32_224": 224, "resmlp_12_224": 224, "levit_128s": 224, "coatnet_nano_rw_224": 224,
    "swin_tiny_patch4_window7_224": 224, "botnet26t_256": 256, "crossvit_tiny_240": 240, "pit_ti_224": 224, "focalnet_tiny_srf": 224,
}


def timm_networks():
    import timm
    return {name: (lambda name=name: timm.create_model(name, pretrained=False, num_classes=10, exportable=True), size) for name, size in TIMM.items()}


def small_networks():
    """One operator of torch's a network, which exporters write as several, between convolutions."""
    class Layer(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, x):
            return self.function(x)

    def between(layer, channels=12):
        return lambda: nn.Sequential(
            nn.Conv2d(3, 12, 3, 2, 1), layer(), nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(8, 5)), 24

    norms = {
        "group_norm": lambda: nn.GroupNorm(3, 12), "group_norm_1": lambda: nn.GroupNorm(1, 12),
        "group_norm_plain": lambda: nn.GroupNorm(4, 12, affine=False), "instance_norm": lambda: nn.InstanceNorm2d(12, affine=True),
        "instance_norm_plain": lambda: nn.InstanceNorm2d(12), "layer_norm_image": lambda: nn.LayerNorm([12, 12, 12]),
        "layer_norm_rows": lambda: nn.LayerNorm(12), "layer_norm_plain": lambda: nn.LayerNorm(12, elementwise_affine=False),
        "rms_norm": lambda: nn.RMSNorm(12), "local_response_norm": lambda: nn.LocalResponseNorm(5, 0.3, 0.75, 1.2),
        "local_response_norm_even": lambda: nn.LocalResponseNorm(4, 0.3, 0.6, 2.0),
    }
    curves = {
        "silu": nn.SiLU, "hardswish": nn.Hardswish, "hardsigmoid": nn.Hardsigmoid, "gelu": nn.GELU, "gelu_tanh": lambda: nn.GELU("tanh"),
        "mish": nn.Mish, "softplus": nn.Softplus, "softplus_beta": lambda: nn.Softplus(2.0, 15.0), "elu": nn.ELU, "selu": nn.SELU,
        "celu": lambda: nn.CELU(0.7), "relu6": nn.ReLU6, "hardtanh": nn.Hardtanh, "leaky_relu": nn.LeakyReLU, "prelu": lambda: nn.PReLU(12),
        "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "log_sigmoid": nn.LogSigmoid, "softsign": nn.Softsign, "tanhshrink": nn.Tanhshrink,
        "hardshrink": nn.Hardshrink, "softshrink": nn.Softshrink, "threshold": lambda: nn.Threshold(0.1, 0.3),
        "softmax_channels": lambda: nn.Softmax(1), "square": lambda: Layer(lambda x: x * x), "power": lambda: Layer(lambda x: x ** 2),
    }
    others = {
        "conv_transpose_bn": lambda: nn.Sequential(nn.ConvTranspose2d(12, 12, 3, 2, 1, 1), nn.BatchNorm2d(12)),
        "pixel_shuffle": lambda: nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(3, 12, 1)),
        "pixel_unshuffle": lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(48, 12, 1)),
        "channel_shuffle": lambda: nn.ChannelShuffle(3), "upsample_bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        "upsample_aligned": lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        "upsample_bicubic": lambda: nn.Upsample(scale_factor=2, mode="bicubic"), "upsample_nearest": lambda: nn.Upsample(size=(19, 17)),
        "reflect": lambda: nn.ReflectionPad2d(2), "replicate": lambda: nn.ReplicationPad2d(1), "constant_pad": lambda: nn.ConstantPad2d(1, 0.4),
        "avg_pool": lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), "avg_pool_ceil": lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True),
        "lp_pool": lambda: nn.LPPool2d(2, 2), "max_pool_ceil": lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        "adaptive_max": lambda: nn.AdaptiveMaxPool2d(4), "glu": lambda: nn.Sequential(nn.Conv2d(12, 24, 1), nn.GLU(1)),
        "flip": lambda: Layer(lambda x: x.flip(3)), "roll": lambda: Layer(lambda x: x.roll(2, 3)),
        "einsum": lambda: Layer(lambda x: torch.einsum("nchw,ndhw->ncdh", x, x) * 0.1), "cumsum": lambda: Layer(lambda x: x.cumsum(3)),
    }
    return {name: between(layer) for name, layer in {**norms, **curves, **others}.items()}


def unsettle(net, size):
    """Norms and biases away from their fresh values, which would hide terms; then statistics that nearly fit what goes through, as training
    leaves them."""
    norms = [m for m in net.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) and m.running_mean is not None]
    with torch.no_grad():
        for m in net.modules():
            affine = isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d))
            for name, p in m.named_parameters(recurse=False):
                if affine and name == "weight":
                    p.uniform_(0.5, 1.5)
                elif affine or name == "bias":
                    p.normal_(0, 0.3 if affine else 0.1)
                elif not p.any():
                    p.normal_(0, 0.1)
                elif name in ("gamma", "layer_scale"):
                    p.uniform_(0.2, 0.6)
        for m in norms:
            m.momentum = None
            m.reset_running_stats()
        net.eval()
        for m in norms:
            m.train()
        if norms:
            net(pictures(4, size))
        for m in norms:
            spread = m.running_var.sqrt()
            m.running_mean.add_(spread * torch.randn_like(spread) * 0.2)
            m.running_var.mul_(torch.empty_like(spread).uniform_(0.7, 1.4)).clamp_(min=1e-3)
    return net.eval()


def pictures(count, size):
    """(N, 3, H, W): noise over slower noise."""
    slow = torch.nn.functional.interpolate(torch.randn(count, 3, 5, 5), size=(size, size), mode="bicubic")
    return slow + 0.5 * torch.randn(count, 3, size, size)
