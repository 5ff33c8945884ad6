"""Trains the models of torch_models.py as anybody would in PyTorch: what the trainer's loss curve is held against.

    torch_training.py FOLDER...

Each FOLDER holds model.json and values.f32 as torch_models.py reads them; model.json also holds the optimizer's
settings, and its rows of tokens are those of all steps, in order. The mean loss of each step, before its update, is
written beside them as losses.f64. Exit status 77: there is no PyTorch.
"""

import math
import pathlib
import struct
import sys

from torch_models import F, logits, read_model, torch


def rate(s, step):
    """Linear warm-up, then half a cosine down to the final fraction at the last step."""
    if step < s["warmup_steps"]:
        return s["learning_rate"] * (step + 1) / s["warmup_steps"]
    way = (step - s["warmup_steps"]) / (s["steps"] - 1 - s["warmup_steps"])
    return s["learning_rate"] * (s["final_fraction"] + (1 - s["final_fraction"]) * (1 + math.cos(math.pi * way)) / 2)


def train(folder):
    model, tensors, _ = read_model(folder)
    s = model["training"]
    tensors = {name: tensor.detach().clone().requires_grad_() for name, tensor in tensors.items()}
    matrices = [tensor for tensor in tensors.values() if tensor.dim() == 2]
    vectors = [tensor for tensor in tensors.values() if tensor.dim() == 1]
    groups = [{"params": matrices, "weight_decay": s["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=s["learning_rate"], betas=(s["beta1"], s["beta2"]), eps=s["eps"])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(s, step) / s["learning_rate"])

    micro_batches = zip(torch.tensor(model["tokens"]).split(s["micro_batch"]),
                        torch.tensor(model["targets"]).split(s["micro_batch"]))
    losses = []
    for _ in range(s["steps"]):
        optimizer.zero_grad()
        mean = 0.0
        for _ in range(s["accumulation"]):
            tokens, targets = next(micro_batches)
            loss = F.cross_entropy(logits(model, tensors, tokens).flatten(0, 1), targets.flatten()) / s["accumulation"]
            loss.backward()
            mean += loss.item()
        torch.nn.utils.clip_grad_norm_(tensors.values(), s["clip_norm"])
        optimizer.step()
        schedule.step()
        losses.append(mean)
    (folder / "losses.f64").write_bytes(struct.pack(f"{len(losses)}d", *losses))


for argument in sys.argv[1:]:
    train(pathlib.Path(argument))
