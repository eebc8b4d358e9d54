# SPDX-License-Identifier: Apache-2.0
"""Our files through msgpack, safetensors and torch, and theirs through metatrain.

interop_formats.py METATRAIN SCRATCH; run by test_import.sh. What a tree or a state dict looks like is
written here again from its description, without a look at the C code.
"""
import json
import os
import shlex
import subprocess
import sys

import msgpack
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

program, scratch = sys.argv[1:3]
rng = np.random.default_rng(3)
CHANNELS = (1, 1, 1, 3, 1, 3, 1, 3, 1, 3, 3, 3, 3, 3)


def path(name):
    return os.path.join(scratch, name)


def run(*arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def draw(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def linear(n_in, n_out):
    return {"b": draw(n_out), "w": draw(n_in, n_out)}


def bank(k, hidden):
    lead = (k,) if k else ()
    tree = {f"w0__{i}": draw(*lead, c, hidden) for i, c in enumerate(CHANNELS)}
    tree.update(b0=draw(*lead, hidden), w1=draw(*lead, hidden, hidden), b1=draw(*lead, hidden),
                w2=draw(*lead, hidden, 3), b2=draw(*lead, 3))
    return {"~": tree}


def recurrent(inputs, h, controls):
    tree = {"linear": linear(inputs, h), "linear_1": linear(inputs, h), "linear_2": linear(inputs, h),
            "rnn/linear": linear(2 * h, 4 * h), "step_size": linear(h, 1)}
    if controls:
        tree["rnn_to_controls"] = linear(h, controls)
    return {"rnn_params": tree, "lstm_init_state": {"hidden": draw(1, h), "cell": draw(1, h)}}


def adafac(h, outputs):
    return {"nn": {"~": {"w0": draw(39, h), "b0": draw(h), "w1": draw(h, h), "b1": draw(h),
                         "w2": draw(h, outputs), "b2": draw(outputs)}},
            "momentum_decays": draw(3), "rms_decays": draw(1), "adafactor_decays": draw(3)}


def mlp(sizes, prefix="mlp/~/"):
    return {f"{prefix}linear_{i}": linear(a, b) for i, (a, b) in enumerate(zip(sizes, sizes[1:]))}


def lstm(inputs, h):
    return {"rnn/linear": linear(inputs + h, 4 * h)}


TREES = {
    "learnable-sgd": ({"log_lr": draw()}, []),
    "learnable-sgdm": ({"log_lr": draw(), "one_minus_momentum": draw()}, []),
    "mlp-lopt": (mlp((19, 32, 32, 2)), []),
    "small-fc": (adafac(4, 2), []),
    "mulo": (adafac(8, 2), ["hidden_size=8"]),
    "adafac-nominal": (adafac(4, 4), []),
    "nn-adam": ({"lstm_init_state": {"hidden": draw(1, 32), "cell": draw(1, 32)},
                 "rnn_params": lstm(19, 32),
                 "rnn_to_controls_params": {"rnn_to_controls": linear(32, 4)},
                 "per_layer_lr": draw(), "per_layer_beta1": draw(), "per_layer_beta2": draw(),
                 "per_layer_epsilon": draw()}, []),
    "rnn-mlp": ({"initial_from_lstm": draw(18), "initial_from_mlp": draw(16),
                 "lstm_init_state": {"hidden": draw(1, 64), "cell": draw(1, 64)},
                 "rnn_params": lstm(52, 64), "rnn_to_ff_params": {"rnn_to_ff": linear(64, 17)},
                 "rnn_to_in_params": {"rnn_to_in": linear(64, 18)},
                 "ffmod_params": mlp((54, 32, 32, 18))}, []),
    "celo": ({"ff_mod_stack": bank(1, 4), **recurrent(18, 64, 1)}, []),
    "celo-adam": (recurrent(18, 64, 0), []),
    "velo": ({"ff_mod_stack": bank(6, 4), **recurrent(30, 16, 6)},
             ["lstm_hidden_size=16", "param_inits=6"]),
    "celo2": ({"ff_mod_stack": bank(0, 8)}, []),
}


# ---- flax: its encoding of a tree, and how it reads one ------------------------------------------


def encode(tree):
    """Keys of dicts sorted as bytes; LSTMState, a namedtuple, keeps the order of its fields."""
    if not isinstance(tree, dict):
        x = np.asarray(tree)
        return msgpack.ExtType(1, msgpack.packb([list(x.shape), x.dtype.name, x.tobytes()]))
    keys = list(tree) if set(tree) == {"hidden", "cell"} else sorted(tree)
    return {k: encode(tree[k]) for k in keys}


def decode(code, data):
    assert code == 1
    shape, dtype, raw = msgpack.unpackb(data)
    return np.frombuffer(raw, dtype).reshape(shape)


def assert_equal(a, b, where=""):
    if isinstance(a, dict):
        assert list(sorted(a)) == list(sorted(b)), (where, sorted(a), sorted(b))
        for k in a:
            assert_equal(a[k], b[k], f"{where}/{k}")
        return
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes(), where


def settings_of(sets):
    return [argument for s in sets for argument in ("--set", s)]


def digest(theta):
    return json.loads(run("show", theta, "--json"))["digest"]


def check_printed_command(said, theta):
    """What an export prints is the command that reads it back."""
    words = shlex.split(next(line for line in said.splitlines() if line.startswith("back again: ")))
    assert words[2] == "metatrain" and words[-1] == "THETA.h5", words
    run(*words[3:-1], path("again.h5"))
    assert digest(path("again.h5")) == digest(theta), words


def check_flax(preset, tree, sets):
    state, theta, again = path(f"{preset}.state"), path(f"{preset}.h5"), path(f"{preset}-2.state")
    with open(state, "wb") as f:
        f.write(msgpack.packb(encode(tree)))
    run("import", state, "--from", "flax", "--optimizer", preset, *settings_of(sets), "--out", theta)
    said = run("export", theta, "--to", "flax", "--out", again)
    check_printed_command(said, theta)
    written = open(again, "rb").read()
    assert_equal(tree, msgpack.unpackb(written, ext_hook=decode))
    assert written == open(state, "rb").read(), f"{preset}: not what flax writes"
    check_wrapped(preset, tree, sets, theta)


def check_wrapped(preset, tree, sets, theta):
    """As a checkpoint, in another order of keys, arrays in chunks, dtype names as raw texts."""
    if preset not in ("celo", "small-fc"):
        return
    chunk = tree["ff_mod_stack"]["~"]["w1"] if preset == "celo" else tree["nn"]["~"]["w1"]
    flat, shape = chunk.reshape(-1), chunk.shape
    changed = encode(tree)
    at = (changed["ff_mod_stack"] if preset == "celo" else changed["nn"])["~"]
    at["w1"] = {"__msgpack_chunked_array__": True, "shape": {str(i): n for i, n in enumerate(shape)},
                "chunks": {str(i): encode(flat[5 * i:5 * i + 5]) for i in range(-(-flat.size // 5))}}
    changed = {"step": 12, "params": dict(reversed(list(changed.items()))), "gen_id": "abc"}
    with open(path("wrapped"), "wb") as f:
        f.write(msgpack.packb(changed, use_bin_type=False))
    run("import", path("wrapped"), "--from", "flax", "--optimizer", preset, *settings_of(sets),
        "--out", path("wrapped.h5"))
    assert digest(path("wrapped.h5")) == digest(theta)


# ---- safetensors: one file of ours ---------------------------------------------------------------


def check_safetensors(preset):
    theta, ours, theirs = path(f"{preset}.h5"), path("ours.safetensors"), path("theirs.safetensors")
    run("export", theta, "--to", "safetensors", "--out", ours)
    with safe_open(ours, "np") as f:
        metadata = f.metadata()
    assert metadata["optimizer"] == preset and metadata["format"] == "metatrain 1"
    save_file(load_file(ours), theirs, metadata)  # their order, their padding
    run("import", theirs, "--from", "safetensors", "--out", path("back.h5"))
    assert digest(path("back.h5")) == digest(theta), preset
    save_file({k: v.astype(np.float64) for k, v in load_file(ours).items()}, theirs, metadata)
    run("import", theirs, "--from", "safetensors", "--out", path("back.h5"))
    assert digest(path("back.h5")) == digest(theta), f"{preset} in float64"


# ---- PyLO: state dicts built from the JAX tree, entry by entry -----------------------------------


def meta_mlp(tree):
    p, state = tree["nn"]["~"], {}
    for i, name in enumerate(("input", "linear_0", "output")):
        state[f"network.{name}.weight"] = p[f"w{i}"].T
        state[f"network.{name}.bias"] = p[f"b{i}"]
    return {"": state}


def velo(tree):
    p, b = tree["rnn_params"], tree["ff_mod_stack"]["~"]
    rnn = {"lstm_init_state.0": tree["lstm_init_state"]["hidden"],
           "lstm_init_state.1": tree["lstm_init_state"]["cell"]}
    for jax, torch in (("linear", "mix_layer1"), ("linear_1", "mix_layer2"),
                       ("linear_2", "final_mix_layer"), ("rnn/linear", "lstm.linear"),
                       ("rnn_to_controls", "rnn_to_controls"), ("step_size", "step_size")):
        rnn[f"{torch}.weight"], rnn[f"{torch}.bias"] = p[jax]["w"].T, p[jax]["b"]
    joined = np.concatenate([b[f"w0__{i}"] for i in range(14)], axis=1)
    stack = {"input_weights_": joined.transpose(0, 2, 1), "input_bias_": b["b0"],
             "hidden_weights_.0": b["w1"].transpose(0, 2, 1), "hidden_bias_.0": b["b1"],
             "output_weights_": b["w2"].transpose(0, 2, 1), "output_bias_": b["b2"]}
    scratch_buffers = {k.replace("_.", ".").rstrip("_"): np.zeros_like(v[0]) for k, v in stack.items()}
    return {"rnn": rnn, "mlp": {**stack, **scratch_buffers}}


def celo2_mlp(tree):
    b = tree["ff_mod_stack"]["~"]
    state = {f"w0.{i}": b[f"w0__{i}"] for i in range(14)}
    state.update({"b0": b["b0"], "dense_w.0": b["w1"], "dense_b.0": b["b1"], "dense_w.1": b["w2"],
                  "dense_b.1": b["b2"]})
    return {"": state}


PYLO = {"small-fc": meta_mlp, "mulo": meta_mlp, "velo": velo, "celo2": celo2_mlp}


def check_pylo(preset, tree, sets):
    theta, folder = path(f"{preset}.h5"), path(f"{preset}-pylo")
    said = run("export", theta, "--to", "pylo", "--out", folder)
    assert "_naive" in said, said
    states = PYLO[preset](tree)
    for network, expected in states.items():
        found = load_file(os.path.join(folder, network, "model.safetensors"))
        assert_equal({k: np.ascontiguousarray(v) for k, v in expected.items()}, found, preset)
        config = json.load(open(os.path.join(folder, network, "config.json")))
        assert list(config) == sorted(config)
        save_file({k: np.ascontiguousarray(v) for k, v in expected.items()},
                  os.path.join(folder, network, "model.safetensors"))  # as their program would
    folders = [os.path.join(folder, network) for network in states] if len(states) > 1 else [folder]
    if "momentum_decays" not in tree:
        run("import", *folders, "--from", "pylo", "--optimizer", preset, *settings_of(sets),
            "--out", path("back.h5"))
        assert digest(path("back.h5")) == digest(theta), preset
    check_printed_command(said, theta)  # learned decays come back with its --set


def check_torch(folder):
    try:
        from safetensors.torch import load_file as load
    except ImportError:
        print("skipped: torch")
        return
    state = load(os.path.join(folder, "model.safetensors"))
    assert all(t.dtype.is_floating_point for t in state.values()) and len(state) == 6


for name, (a_tree, its_settings) in TREES.items():
    check_flax(name, a_tree, its_settings)
    check_safetensors(name)
    if name in PYLO:
        check_pylo(name, a_tree, its_settings)
check_torch(path("mulo-pylo"))
print(f"{len(TREES)} trees, {len(PYLO)} of them as PyLO's folders")
