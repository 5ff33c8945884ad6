"""The three families of models as anybody would write them in PyTorch: what the differentiator's logits and gradients
are held against.

    torch_models.py FOLDER...

Each FOLDER holds model.json (the configuration, the batch, and each tensor's name, shape and offset) and values.f32, all
parameters in one row; logits.f32 and gradients.f32 (of the summed cross-entropy, laid out as the values) are written
beside them. Exit status 77: there is no PyTorch.
"""

import json
import math
import pathlib
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    sys.exit(77)


def rotate(x, rotary, theta):
    """x [sequences, heads, length, head_dim]; the first `rotary` dimensions turn, in two halves."""
    length = x.shape[2]
    frequency = theta ** (-torch.arange(0, rotary, 2, dtype=torch.float64) / rotary)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    cos, sin = angle.cos().float(), angle.sin().float()
    a, b, rest = x[..., : rotary // 2], x[..., rotary // 2 : rotary], x[..., rotary:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], dim=-1)


def attention(q, k, v, scale, window):
    """q [sequences, heads, length, head_dim]; k and v have fewer heads, each shared by neighbours."""
    length = q.shape[2]
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    distance = torch.arange(length)[:, None] - torch.arange(length)[None, :]
    hidden = (distance < 0) | ((distance >= window) if window else torch.zeros_like(distance, dtype=torch.bool))
    scores = (q @ k.transpose(2, 3) * scale).masked_fill(hidden, -math.inf)
    return scores.softmax(-1) @ v


class Model:
    def __init__(self, config, tensors):
        self.c, self.t = config, tensors

    def linear(self, layer, name, x):
        prefix = f"layer {layer} {name}"
        return F.linear(x, self.t[prefix], self.t.get(prefix + " bias"))

    def heads(self, x):
        return x.unflatten(-1, (-1, self.c["head_dim"])).transpose(1, 2)

    def layer_norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.t[name], self.t[name + " bias"], self.c["norm_eps"])

    def rms_norm(self, name, x):
        return x * (x.square().mean(-1, keepdim=True) + self.c["norm_eps"]).rsqrt() * self.t[name]

    def llama(self, tokens):
        c = self.c
        x = c["embedding_multiplier"] * self.t["embedding"][tokens]
        for layer in range(c["layers"]):
            h = self.rms_norm(f"layer {layer} attention norm", x)
            q, k, v = (self.heads(self.linear(layer, name, h)) for name in ("q_proj", "k_proj", "v_proj"))
            if c["qk_norm"]:
                q, k = self.rms_norm(f"layer {layer} q norm", q), self.rms_norm(f"layer {layer} k norm", k)
            q, k = (rotate(z, c["rotary_dim"], c["theta"]) for z in (q, k))
            h = attention(q, k, v, c["attention_scale"], c["sliding_window"]).transpose(1, 2).flatten(2)
            x = x + c["residual_multiplier"] * self.linear(layer, "o_proj", h)
            h = self.rms_norm(f"layer {layer} mlp norm", x)
            h = F.silu(self.linear(layer, "gate_proj", h)) * self.linear(layer, "up_proj", h)
            x = x + c["residual_multiplier"] * self.linear(layer, "down_proj", h)
        x = self.rms_norm("final norm", x)
        return c["logits_multiplier"] * F.linear(x, self.t.get("output layer", self.t["embedding"]))

    def gpt2(self, tokens):
        c = self.c
        x = self.t["embedding"][tokens] + self.t["position embedding"][: tokens.shape[1]]
        for layer in range(c["layers"]):
            h = self.layer_norm(f"layer {layer} attention norm", x)
            q, k, v = (self.heads(self.linear(layer, name, h)) for name in ("q_proj", "k_proj", "v_proj"))
            h = attention(q, k, v, c["attention_scale"], 0).transpose(1, 2).flatten(2)
            x = x + self.linear(layer, "o_proj", h)
            h = self.linear(layer, "up_proj", self.layer_norm(f"layer {layer} mlp norm", x))
            h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
            x = x + self.linear(layer, "down_proj", h)
        return F.linear(self.layer_norm("final norm", x), self.t["embedding"])

    def gpt_neox(self, tokens):
        c = self.c
        x = self.t["embedding"][tokens]
        for layer in range(c["layers"]):
            h = self.layer_norm(f"layer {layer} attention norm", x)
            q, k, v = (self.heads(self.linear(layer, name, h)) for name in ("q_proj", "k_proj", "v_proj"))
            q, k = (rotate(z, c["rotary_dim"], c["theta"]) for z in (q, k))
            h = attention(q, k, v, c["attention_scale"], 0).transpose(1, 2).flatten(2)
            mlp = F.gelu(self.linear(layer, "up_proj", self.layer_norm(f"layer {layer} mlp norm", x)))
            x = x + self.linear(layer, "o_proj", h) + self.linear(layer, "down_proj", mlp)
        return F.linear(self.layer_norm("final norm", x), self.t["output layer"])


def read_model(folder):
    """model.json, and its tensors by name: views of one row of values, which gathers their gradients."""
    model = json.loads((folder / "model.json").read_text())
    values = torch.frombuffer(bytearray((folder / "values.f32").read_bytes()), dtype=torch.float32)
    values.requires_grad_(True)
    tensors = {}
    for name, rows, columns, offset in model["tensors"]:
        tensor = values[offset : offset + rows * columns]
        tensors[name] = tensor if rows == 1 else tensor.view(rows, columns)
    return model, tensors, values


def logits(model, tensors, tokens):
    family = {"gpt2": Model.gpt2, "gpt-neox": Model.gpt_neox}.get(model["architecture"], Model.llama)
    return family(Model(model, tensors), tokens)


def run(folder):
    model, tensors, values = read_model(folder)
    out = logits(model, tensors, torch.tensor(model["tokens"]))
    loss = F.cross_entropy(out.flatten(0, 1), torch.tensor(model["targets"]).flatten(), ignore_index=-1,
                           reduction="sum")
    loss.backward()
    (folder / "logits.f32").write_bytes(out.detach().contiguous().numpy().tobytes())
    (folder / "gradients.f32").write_bytes(values.grad.numpy().tobytes())


torch.set_num_threads(1)
if __name__ == "__main__":
    for argument in sys.argv[1:]:
        run(pathlib.Path(argument))
