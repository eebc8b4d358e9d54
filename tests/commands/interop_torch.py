# SPDX-License-Identifier: Apache-2.0
"""small_fc_lopt once more, in PyTorch, from its description; it must step like liblopt.

interop_torch.py METATRAIN SCRATCH LIBLOPT; run by test_interop.sh. Weights travel through the exported
safetensors file and the exported PyLO folder; liblopt is driven through ctypes.
"""
import ctypes as c
import json
import os
import subprocess
import sys

import torch
from safetensors.torch import load_file

program, scratch, library = sys.argv[1:4]
torch.set_num_threads(1)
TIMES = torch.tensor([1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000], dtype=torch.float64)
# Every rank and order of the two largest axes for a while; a small model for 2,000 steps.
CASES = [([(20, 17), (17,), (17, 20), (6, 6), (3, 3, 5, 8), (4, 5, 6), (1,)], 60), ([(5, 3), (3,), (3, 4)], 2000)]


def run(*arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)


# ---- the module: one tensor of PyTorch's, in double ------------------------------------------------


def normalised(x):
    return x / torch.sqrt(1e-5 + (x * x).mean())


class SmallFC:
    def __init__(self, blocks, step_mult, exp_mult):
        self.w = {k: v.double() for k, v in blocks.items()}
        self.step_mult, self.exp_mult = step_mult, exp_mult

        def decays(base, offset):
            return 1 - torch.exp(10 * (torch.log(1 - torch.tensor(base, dtype=torch.float64)) / 10 + self.w[offset]))

        self.momentum = decays([0.9, 0.99, 0.999], "momentum_decays")
        self.rms = decays([0.999], "rms_decays").clamp(0, 1)
        self.factored = decays([0.9, 0.99, 0.999], "adafactor_decays").clamp(0, 1)

    def start(self, shape):
        order = sorted(range(len(shape)), key=lambda i: shape[i])
        zeros = lambda s: torch.zeros((3, *s), dtype=torch.float64)
        state = {"t": 0, "m": zeros(shape), "v": torch.zeros(shape, dtype=torch.float64)}
        if len(shape) < 2:
            return {**state, "V": zeros(shape)}
        d0, d1 = order[-1], order[-2]
        keep = lambda d: tuple(1 if i == d else n for i, n in enumerate(shape))
        return {**state, "d0": d0, "d1": d1, "R": zeros(keep(d0)), "C": zeros(keep(d1))}

    def update(self, s, p, g):
        b = lambda beta: beta.view(3, *[1] * g.dim())
        s["m"] = b(self.momentum) * s["m"] + (1 - b(self.momentum)) * g
        s["v"] = self.rms * s["v"] + (1 - self.rms) * g * g
        G = g * g + 1e-30
        root = lambda x: 1 / torch.sqrt(torch.clamp(x, min=1e-9))
        if "V" in s:
            s["V"] = b(self.factored) * s["V"] + (1 - b(self.factored)) * G
            row = col = s["V"]
            fac_g = g * root(s["V"] + 1e-9)
            fac_m = s["m"] / torch.sqrt(s["V"] + 1e-6)
        else:
            d0, d1 = s["d0"], s["d1"]
            s["R"] = b(self.factored) * s["R"] + (1 - b(self.factored)) * G.mean(d0, keepdim=True)
            s["C"] = b(self.factored) * s["C"] + (1 - b(self.factored)) * G.mean(d1, keepdim=True)
            r = root(s["R"] / (s["R"].mean(d1 + 1, keepdim=True) + 1e-9))
            row, col = s["R"].expand_as(s["m"]), s["C"].expand_as(s["m"])
            fac_g, fac_m = g * r * root(s["C"]), s["m"] * r * root(s["C"])
        rsqrt = 1 / torch.sqrt(s["v"] + 1e-6)
        features = [g, p, *s["m"], s["v"], *(s["m"] * rsqrt), rsqrt, *fac_g, *row, *col,
                    *(1 / torch.sqrt(row + 1e-8)), *(1 / torch.sqrt(col + 1e-8)), *fac_m]
        x = torch.stack([normalised(f) for f in features], -1)
        time = torch.tanh(s["t"] / TIMES - 1).expand(*g.shape, 11)
        s["t"] += 1
        x = torch.cat([x, time], -1)
        x = torch.relu(x @ self.w["w0"] + self.w["b0"])
        x = torch.relu(x @ self.w["w1"] + self.w["b1"])
        out = x @ self.w["w2"] + self.w["b2"]
        return -out[..., 0] * torch.exp(out[..., 1] * self.exp_mult) * self.step_mult


# ---- liblopt ---------------------------------------------------------------------------------------


class Tensor(c.Structure):  # lopt_tensor, field for field
    _fields_ = [("name", c.c_char * 64), ("rank", c.c_int32), ("dim", c.c_int64 * 4), ("lr_scale", c.c_float),
                ("weight_decay", c.c_float), ("role", c.c_int), ("hidden_fan_in", c.c_int64)]


class Setting(c.Structure):
    _fields_ = [("name", c.c_char_p), ("value", c.c_char_p)]


def liblopt(settings, theta, shapes):
    lib = c.CDLL(library)
    for name in ("lopt_create", "lopt_state_create"):
        getattr(lib, name).restype = c.c_void_p
    array = (Setting * len(settings))(*[Setting(k.encode(), v.encode()) for k, v in settings.items()])
    opt = c.c_void_p(lib.lopt_create(b"small-fc", array, c.c_size_t(len(settings)), None))
    lib.lopt_set_theta(opt, (c.c_float * len(theta))(*theta))
    tensors = (Tensor * len(shapes))(*[Tensor(b"", len(s), (c.c_int64 * 4)(*s), 1, -1, 0, 0) for s in shapes])
    state = c.c_void_p(lib.lopt_state_create(opt, tensors, c.c_size_t(len(shapes)), None))
    lib.lopt_state_reset(opt, state, c.c_int64(0))

    def step(params, grads):
        n = len(params)
        p, g, u = (c.c_float * n)(*params), (c.c_float * n)(*grads), (c.c_float * n)()
        lib.lopt_step(opt, state, p, g, c.c_float(0), u)
        return torch.tensor(list(u), dtype=torch.float64)

    return step


# ---- the comparison --------------------------------------------------------------------------------

settings = {"hidden_size": "8", "step_mult": "0.01", "exp_mult": "0.5"}
trained = os.path.join(scratch, "trained")
run("train", "configs/quadratic.yaml", "--out", trained, "--set", "outer.steps=5", "--set", "particles=2",
    *[a for k, v in settings.items() for a in ("--set", f"optimizer.{k}={v}")])
ours, pylo = os.path.join(scratch, "theta.safetensors"), os.path.join(scratch, "pylo")
run("export", f"{trained}/theta.h5", "--to", "safetensors", "--out", ours)
run("export", f"{trained}/theta.h5", "--to", "pylo", "--out", pylo)
blocks, network = load_file(ours), load_file(os.path.join(pylo, "model.safetensors"))
for layer, key in enumerate(("network.input", "network.linear_0", "network.output")):
    assert torch.equal(blocks[f"w{layer}"].T, network[f"{key}.weight"]) and torch.equal(blocks[f"b{layer}"], network[f"{key}.bias"]), key
assert json.load(open(os.path.join(pylo, "config.json"))) == {"input_size": 39, "hidden_size": 8, "hidden_layers": 1}

order = ("w0", "b0", "w1", "b1", "w2", "b2", "momentum_decays", "rms_decays", "adafactor_decays")
theta = torch.cat([blocks[k].flatten() for k in order]).tolist()
torch.manual_seed(4)
for shapes, steps in CASES:
    step, module = liblopt(settings, theta, shapes), SmallFC(blocks, 0.01, 0.5)
    params = [0.1 * torch.randn(s) for s in shapes]
    states = [module.start(s) for s in shapes]
    worst = 0.0
    for _ in range(steps):
        grads = [torch.randn(s) * 10.0 ** (i - 3) for i, s in enumerate(shapes)]
        flat = lambda xs: torch.cat([x.flatten() for x in xs]).tolist()
        got = step(flat(params), flat(grads)).split([p.numel() for p in params])
        for i, mine in enumerate(got):
            want = module.update(states[i], params[i].double(), grads[i].double()).flatten()
            worst = max(worst, ((mine - want).abs().max() / want.abs().max()).item())
            params[i] = (params[i].double() + mine.view(shapes[i])).float()
    assert worst < 2e-5, f"{shapes}: largest relative difference of an update {worst:.2e}, expected below 2e-5"
    print(f"PyTorch module against liblopt: {steps} steps, {len(shapes)} tensors, largest relative difference {worst:.2e}")
