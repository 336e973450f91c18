# SPDX-License-Identifier: Apache-2.0
"""Writes rules.safetensors: what PyTorch's optimisers make of a few weights in a few steps.

  python make_rules.py      PyTorch 2.15, numpy 2.4, safetensors 0.7

Tensors, all F64: `w` [N] the weights before, `g` [STEPS][N] the gradients, and for each case
`NAME` [STEPS][N] the weights after every step. Cases are RULE, RULE_decay (weight decay .05) and
RULE_clip (the norm of g cut to 3). Caffe's rule is not PyTorch's: it is
written out here from its definition, V' = m V - lr (g + decay W), W' = W + V'.
"""
import torch
from safetensors.torch import save_file

N, STEPS, LR, MOMENTUM, DECAY = 37, 6, 0.05, 0.9, 0.05
OPTIMISERS = {
    "sgd": lambda p, d: torch.optim.SGD([p], LR, weight_decay=d),
    "momentum": lambda p, d: torch.optim.SGD([p], LR, MOMENTUM, weight_decay=d),
    "nesterov": lambda p, d: torch.optim.SGD([p], LR, MOMENTUM, weight_decay=d, nesterov=True),
    "adamw": lambda p, d: torch.optim.AdamW([p], LR, (MOMENTUM, 0.999), 1e-8, d),
}


def run(make, w, g, decay, clip):
    p = torch.nn.Parameter(w.clone())
    optimiser, after = make(p, decay), []
    for row in g:
        p.grad = row.clone()
        if clip:
            torch.nn.utils.clip_grad_norm_([p], clip)
        optimiser.step()
        after.append(p.detach().clone())
    return torch.stack(after)


def run_caffe(w, g, decay, clip):
    w, v, after = w.clone(), torch.zeros_like(w), []
    for row in g:
        scale = min(1.0, clip / (float(row.norm()) + 1e-6)) if clip else 1.0
        v = MOMENTUM * v - LR * (scale * row + decay * w)
        w = w + v
        after.append(w.clone())
    return torch.stack(after)


torch.manual_seed(4)
# Rounded to fp32, so that both sides start from the same numbers.
w = torch.randn(N).double()
g = torch.randn(STEPS, N).double()
tensors = {"w": w, "g": g}
for case, decay, clip in (("", 0.0, 0.0), ("_decay", DECAY, 0.0), ("_clip", 0.0, 3.0)):
    for name, make in OPTIMISERS.items():
        tensors[name + case] = run(make, w, g, decay, clip)
    tensors["caffe" + case] = run_caffe(w, g, decay, clip)
assert float(g[0].norm()) > 4
save_file(tensors, "rules.safetensors")
