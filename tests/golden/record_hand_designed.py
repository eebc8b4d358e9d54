# SPDX-License-Identifier: Apache-2.0
"""Records trajectories of hand-designed optimizers by running optax and torch.optim.

    python tests/golden/record_hand_designed.py          adds runs that tests/golden/hand/hand_designed.json lacks
    python tests/golden/record_hand_designed.py --all    records every run anew

tests/src/test_hand_designed.c replays them. Needs jax, optax and torch, in versions that have these
rules; the file says which ones it was made with. Parameters and gradients are not stored: both
sides compute them from the same integer hash, exactly. Stored are updates, as float32 bits in
hexadecimal: up to KEPT elements of each tensor, evenly spread, at the steps of KEPT_STEPS.

Optimizers that neither has come from packages, as named in "source" of their runs, in float64 as
torch. Of a schedule-free run "average" has the parameters to measure after the last step.

optax runs in float32 under jit, so its rounding is what an exact port must have. torch runs in
float64 (updates are differences of parameters there) and shows that the formula is right:
tolerances of these runs cover float32. A run's tolerance is the largest difference over the
largest update of that tensor and step. Where a rule is neither in optax nor in torch it is
written out below, in jax.numpy.
"""

import json
import os
import platform
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import prodigyopt
import pytorch_optimizer
import schedulefree
import torch
from pytorch_optimizer.optimizer.utils.graft import LayerWiseGrafting, RMSPropGraft

STEPS = 40
KEPT = 8
KEPT_STEPS = list(range(8)) + list(range(8, STEPS, 4)) + [STEPS - 1]

# name: [shape, scale of gradients, scale of parameters]
TENSOR_SETS = {
    "small": [
        [[], 1, 1],
        [[7], 2**-12, 1],
        [[5, 3], 1, 1],
        [[3, 5], 2**10, 1],
        [[4, 4], 2**-3, 2**-4],
        [[2, 3, 3, 2], 1, 2],
        [[3], 0, 1],
        [[4], 1, 0],
    ],
    "matrices": [[[6, 20], 1, 1], [[20, 6], 2**-8, 1], [[9, 9], 2**8, 2**-4], [[33, 40], 1, 1]],
    "square": [
        [[], 1, 1],
        [[7], 2**-12, 1],
        [[6, 6], 2**10, 1],
        [[12, 12], 2**-3, 2**-4],
        [[2, 3, 3, 2], 1, 2],
        [[3, 4, 4], 1, 1],
        [[3, 3], 0, 1],
    ],
    "large": [
        [[128, 130], 1, 1],
        [[130, 128], 2**-12, 1],
        [[128, 128], 2**6, 2**-5],
        [[2, 129, 128], 1, 1],
        [[128, 2, 129], 1, 1],
        [[129, 130, 2], 1, 1],
        [[3, 2], 1, 2**-10],
        [[5], 1, 1],
    ],
}


def mix(x):
    """Finaliser of MurmurHash3 on uint32."""
    x = np.uint32(x) if np.isscalar(x) else x.astype(np.uint32)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def uniform(stream, n):
    """n numbers in [-0.5, 0.5), exact in float32."""
    with np.errstate(over="ignore"):
        bits = mix(np.arange(n, dtype=np.uint32) + mix(stream))
    return (bits >> np.uint32(8)).astype(np.float64) / 2**24 - 0.5


def params_of(tensor_set):
    return [
        (uniform(k + 1, int(np.prod(shape))) * scale).reshape(shape)
        for k, (shape, _, scale) in enumerate(TENSOR_SETS[tensor_set])
    ]


def grads_of(tensor_set, step):
    tensors = [(shape, scale * 2 ** (step % 3 - 1)) for shape, scale, _ in TENSOR_SETS[tensor_set]]
    return [
        (uniform(1000 * (step + 1) + k + 1, int(np.prod(shape))) * factor).reshape(shape)
        for k, (shape, factor) in enumerate(tensors)
    ]


def kept(update):
    flat = np.asarray(update, np.float32).reshape(-1)
    count = min(KEPT, flat.size)
    picked = np.array([flat[k * flat.size // count] for k in range(count)])
    return picked.astype(">f4").tobytes().hex()


def run_optax(transformation, tensor_set, dtype=jnp.float32):
    params = [jnp.asarray(p, dtype) for p in params_of(tensor_set)]
    state = transformation.init(params)
    update = jax.jit(transformation.update)
    for step in range(STEPS):
        grads = [jnp.asarray(g, dtype) for g in grads_of(tensor_set, step)]
        updates, state = update(grads, state, params)
        params = optax.apply_updates(params, updates)
        if step in KEPT_STEPS:
            yield [kept(u) for u in updates]


def run_optax_float64(transformation, tensor_set):
    with jax.enable_x64(True):
        yield from run_optax(transformation, tensor_set, jnp.float64)


def run_torch(make, tensor_set):
    params = [
        torch.nn.Parameter(torch.tensor(p, dtype=torch.float64)) for p in params_of(tensor_set)
    ]
    optimizer = make(params)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = optimizer.rate(step) if hasattr(optimizer, "rate") else group["lr"]
        before = [p.detach().clone() for p in params]
        for p, g in zip(params, grads_of(tensor_set, step)):
            p.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
        if step in KEPT_STEPS:
            yield [kept((p.detach() - b).numpy()) for p, b in zip(params, before)]
    if hasattr(optimizer, "eval"):
        optimizer.eval()
        yield [kept(p.detach().numpy()) for p in params]


def torch_muon(**arguments):
    """torch.optim.Muon iterates in bfloat16 for speed: here it stays in float64."""

    def make(params):
        return torch.optim.Muon(params, **arguments)

    torch.Tensor.bfloat16 = lambda x: x
    return make


def nadamw(learning_rate, b1=0.9, b2=0.999, eps=1e-8, adamw_decay=0.0, l2_decay=0.0, nesterov=True):
    """NAdamW of learned_optimization (Metz et al. 2020), written out; learning_rate(count)."""

    def init(params):
        zeros = [jnp.zeros_like(p) for p in params]
        return jnp.zeros([], jnp.int32), zeros, zeros

    def update(grads, state, params):
        count, m, v = state
        t = (count + 1).astype(jnp.float32)
        alpha = (
            learning_rate(count) * jnp.sqrt(1 - jnp.float32(b2) ** t) / (1 - jnp.float32(b1) ** t)
        )
        grads = [g - l2_decay * p for g, p in zip(grads, params)]
        m = [b1 * a + (1 - b1) * g for a, g in zip(m, grads)]
        v = [b2 * a + (1 - b2) * g * g for a, g in zip(v, grads)]
        mean = [b1 * a + (1 - b1) * g for a, g in zip(m, grads)] if nesterov else m
        updates = [
            -(alpha * a / (jnp.sqrt(b) + eps) + alpha * adamw_decay * p)
            for a, b, p in zip(mean, v, params)
        ]
        return updates, (count + 1, m, v)

    return optax.GradientTransformation(init, update)


def optlist_cosine(rate, constant_fraction, warmup_fraction, min_mult, total):
    """Cosine of learned_optimization, written out: the longer of both is the warm-up."""

    def schedule(count):
        step = jnp.minimum(count.astype(jnp.float32), total)
        constant, low = total * constant_fraction, min_mult * rate
        x = (jnp.maximum(step, constant) - constant) / (total - constant)
        decayed = (rate - low) * (0.5 * jnp.cos(jnp.pi * x) + 0.5) + low
        if warmup_fraction == 0:
            return decayed
        warmup = total * max(warmup_fraction, constant_fraction)
        return jnp.where(step < warmup, rate * step / warmup, decayed)

    return schedule


def constant(rate):
    return lambda count: rate


def scalars_as_vectors(inner):
    """optax.sm3 takes no scalars: as in learned_optimization they become vectors of one element."""

    def widen(leaves):
        return [jnp.atleast_1d(x) for x in leaves]

    def update(grads, state, params):
        updates, state = inner.update(widen(grads), state, widen(params))
        return [u.reshape(g.shape) for u, g in zip(updates, grads)], state

    return optax.GradientTransformation(lambda params: inner.init(widen(params)), update)


def optax_runs():
    """name, preset, settings, transformation, tensor set, tolerance"""
    o = optax
    cosine = o.warmup_cosine_decay_schedule(0.0, 0.01, 6, STEPS, 0.001)
    linear = o.join_schedules(
        [o.linear_schedule(0, 0.01, 8), o.linear_schedule(0.01, 0.002, STEPS - 8)], [8]
    )
    yield "sgd", "sgd", "", o.sgd(0.01), "small", 1e-6
    yield "sgdm", "sgdm", "", o.sgd(0.01, 0.9), "small", 1e-6
    yield "sgd-nesterov", "sgdm", "nesterov=true", o.sgd(0.01, 0.9, nesterov=True), "small", 1e-6
    yield "adam", "adam", "", o.adam(0.01, eps_root=1e-8), "small", 2e-6
    yield "adamw", "adamw", "weight_decay=0.1", o.adamw(0.001, weight_decay=0.1), "small", 2e-6
    yield (
        "adamw-blocks",
        "adamw",
        "weight_decay=0.1",
        o.adamw(0.001, weight_decay=0.1),
        "matrices",
        2e-6,
    )
    yield (
        "adamw-nesterov",
        "adamw",
        "nesterov=true weight_decay=0.1",
        o.nadamw(0.001, weight_decay=0.1),
        "small",
        2e-6,
    )
    yield (
        "adamw-cosine",
        "adamw",
        "learning_rate=0.01 schedule=cosine warmup_fraction=0.15 min_learning_rate_mult=0.1",
        o.adamw(cosine),
        "small",
        1e-5,
    )
    yield (
        "adamw-linear",
        "adamw",
        "learning_rate=0.01 schedule=linear warmup_steps=8 min_learning_rate_mult=0.2",
        o.adamw(linear),
        "small",
        1e-5,
    )
    yield (
        "sgdm-exponential",
        "sgdm",
        "schedule=exponential decay_per_step=0.05",
        o.sgd(o.exponential_decay(0.01, 1, 0.95), 0.9),
        "small",
        1e-5,
    )
    yield "rmsprop", "rmsprop", "", o.rmsprop(0.01), "small", 2e-6
    yield (
        "rmsprop-momentum",
        "rmsprop",
        "momentum=0.9 schedule=exponential decay_per_step=0.05",
        o.rmsprop(o.exponential_decay(0.01, 1, 0.95), momentum=0.9),
        "small",
        2e-5,
    )
    yield (
        "rmsprop-nesterov",
        "rmsprop",
        "momentum=0.9 nesterov=true epsilon_in_root=false",
        o.rmsprop(0.01, eps_in_sqrt=False, momentum=0.9, nesterov=True),
        "small",
        2e-6,
    )
    yield "adagrad", "adagrad", "", o.adagrad(0.01), "small", 2e-6
    yield (
        "adagrad-from-zero",
        "adagrad",
        "initial_accumulator=0",
        o.adagrad(0.01, initial_accumulator_value=0.0),
        "small",
        2e-6,
    )
    yield "adabelief", "adabelief", "", o.adabelief(0.01), "small", 5e-6
    yield "yogi", "yogi", "", o.yogi(0.01), "small", 5e-6
    yield "radam", "radam", "", o.radam(0.001), "small", 5e-6
    yield "lamb", "lamb", "weight_decay=0.1", o.lamb(0.001, weight_decay=0.1), "small", 5e-6
    yield "lars", "lars", "weight_decay=0.1", o.lars(0.1, 0.1), "small", 5e-6
    yield (
        "lars-nesterov",
        "lars",
        "epsilon=0.1 nesterov=true",
        o.lars(0.1, eps=0.1, nesterov=True),
        "small",
        1e-5,
    )
    yield "fromage", "fromage", "", o.fromage(0.01), "small", 5e-6
    yield "lion", "lion", "weight_decay=0.1", o.lion(1e-4, weight_decay=0.1), "small", 1e-6
    yield "sm3", "sm3", "", scalars_as_vectors(o.sm3(0.1)), "small", 5e-6
    yield (
        "sm3-decay",
        "sm3",
        "b2=0.9",
        scalars_as_vectors(o.chain(o.scale_by_sm3(0.9, 0.9), o.scale(-0.1))),
        "small",
        5e-6,
    )
    yield "adafactor", "adafactor", "", o.adafactor(0.01), "large", 1e-5
    yield (
        "adafactor-momentum",
        "adafactor",
        "momentum=0.9 weight_decay=0.001 decay_offset=-3",
        o.adafactor(0.01, momentum=0.9, weight_decay_rate=0.001, decay_offset=-3),
        "large",
        1e-5,
    )
    yield (
        "adafactor-unclipped",
        "adafactor",
        "clipping_threshold=0 multiply_by_parameter_scale=false min_dim_size_to_factor=2",
        o.adafactor(0.01, 2, clipping_threshold=None, multiply_by_parameter_scale=False),
        "small",
        1e-5,
    )
    muon = (
        "learning_rate=0.02 scale=cols_over_rows bias_correction=true weight_decay=0.1 epsilon=1e-8"
    )
    yield "muon", "muon", muon, o.contrib.muon(0.02, weight_decay=0.1), "matrices", 2e-5
    yield (
        "muon-and-adam",
        "muon",
        "nesterov=false scale=cols_over_rows bias_correction=true epsilon=1e-8 "
        "adam_rate_mult=0.5 adam_beta2=0.999 adam_epsilon=1e-8",
        o.contrib.muon(0.02, nesterov=False, adam_learning_rate=0.01),
        "small",
        2e-5,
    )
    yield (
        "muon-rms",
        "muon",
        "nesterov=false scale=match_rms_adamw bias_correction=true epsilon=1e-8",
        o.contrib.muon(0.02, nesterov=False, consistent_rms=0.2),
        "matrices",
        2e-5,
    )


def later_optax_runs():
    c = optax.contrib
    cosine = optax.warmup_cosine_decay_schedule(0.0, 0.01, 6, STEPS, 0.001)
    yield "adopt", "adopt", "", c.adopt(0.001), "small", 1e-4
    yield (
        "adopt-unclipped",
        "adopt",
        "clip=false beta2=0.9",
        c.adopt(0.001, b2=0.9, use_clipping=False),
        "small",
        5e-6,
    )
    yield "ademamix", "ademamix", "weight_decay=0.1", c.ademamix(
        0.001, weight_decay=0.1
    ), "small", 5e-6
    yield (
        "ademamix-cosine",
        "ademamix",
        "learning_rate=0.01 beta3=0.99 schedule=cosine warmup_fraction=0.15 "
        "min_learning_rate_mult=0.1",
        c.ademamix(cosine, b3=0.99),
        "matrices",
        2e-5,
    )
    yield (
        "adan-optax",
        "adan",
        "difference_weight=one_minus_beta2 epsilon_root=1e-8 proximal_decay=false weight_decay=0.1",
        optax.adan(0.001, weight_decay=0.1),
        "small",
        5e-6,
    )


def package_runs():
    p = pytorch_optimizer
    yield (
        "ademamix-warmup",
        "ademamix",
        "slow_warmup_steps=30",
        lambda params: p.AdEMAMix(params, t_alpha_beta3=30),
        "small",
        5e-5,
    )
    yield "adan", "adan", "weight_decay=0.1", lambda params: p.Adan(
        params, weight_decay=0.1
    ), "small", 5e-5
    yield (
        "adan-no-prox",
        "adan",
        "weight_decay=0.1 proximal_decay=false",
        lambda params: p.Adan(params, weight_decay=0.1, weight_decouple=True),
        "matrices",
        5e-5,
    )


def soap_runs():
    """Only axes whose first G has full rank and different eigenvalues: else Q is arbitrary."""
    soap = pytorch_optimizer.SOAP
    cosine = optax.warmup_cosine_decay_schedule(0.0, 0.01, 6, STEPS, 0.001)

    def with_cosine(params):
        optimizer = soap(params, weight_decay=0.0, precondition_frequency=1)
        optimizer.rate = lambda step: float(cosine(step))
        return optimizer

    yield (
        "soap",
        "soap",
        "max_precondition_dim=10 weight_decay=0.1",
        lambda params: soap(params, max_precondition_dim=10, weight_decay=0.1),
        "matrices",
        1e-4,
    )
    yield (
        "soap-cosine",
        "soap",
        "learning_rate=0.01 schedule=cosine warmup_fraction=0.15 min_learning_rate_mult=0.1 "
        "weight_decay=0 precondition_every=1",
        with_cosine,
        "square",
        1e-4,
    )
    yield (
        "soap-betas",
        "soap",
        "beta1=0.9 beta2=0.99 shampoo_beta=0.8 precondition_every=3 weight_decay=0",
        lambda params: soap(
            params,
            betas=(0.9, 0.99),
            shampoo_beta=0.8,
            precondition_frequency=3,
            weight_decay=0.0,
        ),
        "square",
        1e-4,
    )


class NormalizedGraft(RMSPropGraft):
    """rmsprop_normalized of google-research's distributed_shampoo, which the package lacks."""

    def add_statistics(self, grad, beta2):
        super().add_statistics(grad / (grad.norm() + 1e-16), beta2)

    def precondition_gradient(self, grad):
        return super().precondition_gradient(grad / (grad.norm() + 1e-16))


class AdamGraft(RMSPropGraft):
    """RMSProp with Adam's bias correction, as in Meta's distributed Shampoo."""

    remaining = 1.0

    def add_statistics(self, grad, beta2):
        super().add_statistics(grad, beta2)
        self.remaining *= beta2

    def precondition_gradient(self, grad):
        return grad / ((self.statistics / (1 - self.remaining)).sqrt() + self.diagonal_eps)


def shampoo(graft, rate=None, **arguments):
    """graft: a LayerWiseGrafting, or a class for the package to use."""

    def make(params):
        named = not isinstance(graft, type)
        build = pytorch_optimizer.optimizer.shampoo.build_graft
        optimizer = pytorch_optimizer.ScalableShampoo(
            params,
            graft_type=graft if named else LayerWiseGrafting.RMSPROP,
            decoupled_weight_decay=True,
            shape_interpretation=False,
            use_svd=True,
            **arguments,
        )
        for p in params:
            p.grad = torch.zeros_like(p)
        if not named:
            pytorch_optimizer.optimizer.shampoo.build_graft = lambda p, _, eps: graft(p, eps)
        for group in optimizer.param_groups:
            optimizer.init_group(group)
        pytorch_optimizer.optimizer.shampoo.build_graft = build
        if rate:
            optimizer.rate = lambda step: float(rate(step))
        return optimizer

    return make


def shampoo_runs():
    g = LayerWiseGrafting
    cosine = optax.warmup_cosine_decay_schedule(0.0, 0.01, 6, STEPS, 0.001)
    often = {"start_preconditioning_step": 5, "preconditioning_compute_steps": 10}
    blocks = "start_step=5 precondition_every=10 block_size=12 "
    axes = "start_step=4 precondition_every=3 "
    third = {"start_preconditioning_step": 4, "preconditioning_compute_steps": 3}
    yield (
        "shampoo",
        "shampoo",
        blocks + "weight_decay=0.1",
        shampoo(g.RMSPROP, block_size=12, weight_decay=0.1, **often),
        "matrices",
        1e-5,
    )
    yield (
        "shampoo-sgd",
        "shampoo",
        blocks + "grafting=sgd nesterov=false beta2=0.99 exponent=2",
        shampoo(
            g.SGD,
            block_size=12,
            betas=(0.9, 0.99),
            nesterov=False,
            inverse_exponent_override=2,
            **often,
        ),
        "matrices",
        1e-5,
    )
    yield (
        "shampoo-adagrad-cosine",
        "shampoo",
        axes + "grafting=adagrad learning_rate=0.01 schedule=cosine warmup_fraction=0.15 "
        "min_learning_rate_mult=0.1",
        shampoo(g.ADAGRAD, cosine, **third),
        "square",
        1e-5,
    )
    yield (
        "shampoo-none",
        "shampoo",
        axes + "grafting=none beta2=0.9",
        shampoo(g.NONE, betas=(0.9, 0.9), **third),
        "square",
        1e-5,
    )
    yield (
        "shampoo-normalized",
        "shampoo",
        axes + "grafting=rmsprop_normalized",
        shampoo(NormalizedGraft, **third),
        "square",
        1e-5,
    )
    yield (
        "shampoo-adam",
        "shampoo",
        axes + "grafting=adam",
        shampoo(AdamGraft, **third),
        "square",
        1e-4,
    )


def prodigy(rate=None, **arguments):
    def make(params):
        optimizer = prodigyopt.Prodigy(params, **arguments)
        if rate:
            optimizer.rate = lambda step: float(rate(step))
        return optimizer

    return make


def prodigy_runs():
    cosine = optax.warmup_cosine_decay_schedule(0.0, 0.5, 6, STEPS, 0.05)
    yield "prodigy", "prodigy", "", prodigy(), "small", 1e-2
    yield (
        "prodigy-decay",
        "prodigy",
        "weight_decay=0.1 d0=0.001 growth_rate=1.02 d_coef=10 bias_correction=true",
        prodigy(weight_decay=0.1, d0=1e-3, growth_rate=1.02, d_coef=10.0, use_bias_correction=True),
        "matrices",
        5e-5,
    )
    yield (
        "prodigy-cosine",
        "prodigy",
        "learning_rate=0.5 schedule=cosine warmup_fraction=0.15 min_learning_rate_mult=0.1 "
        "safeguard_warmup=true d0=0.001",
        prodigy(cosine, safeguard_warmup=True, d0=1e-3),
        "small",
        5e-5,
    )


def written_out_runs():
    yield (
        "nadamw",
        "nadamw",
        "weight_decay=0.1 l2_weight_decay=0.01",
        nadamw(constant(1e-4), adamw_decay=0.1, l2_decay=0.01),
        "small",
        5e-6,
    )
    yield "nadamw-adam", "nadamw", "nesterov=false", nadamw(
        constant(1e-4), nesterov=False
    ), "small", 5e-6
    row = optlist_cosine(1.1948335721e-3, 0.74730404622, 0, 0, STEPS)
    yield (
        "optlist",
        "optlist",
        "",
        nadamw(row, 0.93600434526, 0.99894974062, 5.8758144e-6, 0.010141964334, 0, False),
        "small",
        2e-5,
    )
    quirk = optlist_cosine(0.01, 0.5, 0.01, 0.1, STEPS)
    yield (
        "nadamw-warmup",
        "nadamw",
        "learning_rate=0.01 schedule=cosine warmup_rule=optlist constant_fraction=0.5 "
        "warmup_fraction=0.01 min_learning_rate_mult=0.1",
        nadamw(quirk),
        "small",
        2e-5,
    )


def optax_float64_runs():
    """With a schedule optax takes 1 - k of Fromage in float32 and loses digits: not here."""
    yield (
        "fromage-exponential",
        "fromage",
        "schedule=exponential decay_per_step=0.05",
        optax.fromage(lambda count: 0.01 * 0.95 ** count.astype(jnp.float64)),
        "small",
        1e-5,
    )


def torch_runs():
    t = torch.optim
    yield (
        "torch-sgd",
        "sgd",
        "momentum=0.9 nesterov=true weight_decay=0.1 weight_decay_form=gradient",
        lambda p: t.SGD(p, 0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
        "small",
        1e-5,
    )
    yield (
        "torch-adam",
        "adam",
        "epsilon_root=0 weight_decay=0.1 weight_decay_form=gradient",
        lambda p: t.Adam(p, 0.01, weight_decay=0.1),
        "small",
        5e-5,
    )
    yield (
        "torch-adamw",
        "adamw",
        "weight_decay=0.1",
        lambda p: t.AdamW(p, 0.001, weight_decay=0.1),
        "small",
        5e-5,
    )
    yield (
        "torch-rmsprop",
        "rmsprop",
        "decay=0.99 momentum=0.9 epsilon_in_root=false",
        lambda p: t.RMSprop(p, 0.01, momentum=0.9),
        "small",
        5e-5,
    )
    yield (
        "torch-adagrad",
        "adagrad",
        "initial_accumulator=0 epsilon=1e-10 epsilon_in_root=false",
        lambda p: t.Adagrad(p, 0.01),
        "small",
        1e-5,
    )
    yield (
        "torch-radam",
        "radam",
        "beta2=0.95",
        lambda p: t.RAdam(p, 0.001, betas=(0.9, 0.95)),
        "small",
        1e-3,
    )
    yield (
        "torch-adafactor",
        "adafactor",
        "min_dim_size_to_factor=2 relative_step=true learning_rate=0.3",
        lambda p: t.Adafactor(p, 0.3),
        "matrices",
        1e-5,
    )
    yield (
        "torch-muon",
        "muon",
        "weight_decay=0.1 learning_rate=0.001 epsilon=0",
        torch_muon(weight_decay=0.1),
        "matrices",
        2e-5,
    )
    yield (
        "torch-muon-rms",
        "muon",
        "scale=match_rms_adamw learning_rate=0.001 epsilon=0",
        torch_muon(weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        "matrices",
        2e-5,
    )


def schedule_free(kind, rate=None, **arguments):
    def make(params):
        optimizer = kind(params, **arguments)
        optimizer.train()
        if rate:
            optimizer.rate = lambda step: float(rate(step))
        return optimizer

    return make


def schedule_free_runs():
    adamw, sgd = schedulefree.AdamWScheduleFree, schedulefree.SGDScheduleFree
    cosine = optax.warmup_cosine_decay_schedule(0.0, 0.01, 6, STEPS, 0.001)
    yield (
        "schedule-free-adamw",
        "schedule-free-adamw",
        "weight_decay=0.1",
        schedule_free(adamw, weight_decay=0.1),
        "small",
        5e-4,
    )
    yield (
        "schedule-free-adamw-cosine",
        "schedule-free-adamw",
        "learning_rate=0.01 schedule=cosine warmup_fraction=0.15 min_learning_rate_mult=0.1 "
        "beta1=0.95 average_power=1 rate_power=1",
        schedule_free(adamw, cosine, betas=(0.95, 0.999), r=1.0, weight_lr_power=1.0),
        "matrices",
        5e-5,
    )
    yield (
        "schedule-free-sgd",
        "schedule-free-sgd",
        "learning_rate=0.01 weight_decay=0.1",
        schedule_free(sgd, lr=0.01, weight_decay=0.1),
        "small",
        2e-4,
    )


def record(recorded):
    """recorded: runs by name that are kept as they are."""
    runs = []
    for source, recipes, run in [
        ("optax", optax_runs(), run_optax),
        ("optax, float64", optax_float64_runs(), run_optax_float64),
        ("written out", written_out_runs(), run_optax),
        ("torch.optim, float64", torch_runs(), run_torch),
        ("schedulefree 1.4.1, float64", schedule_free_runs(), run_torch),
        ("optax", later_optax_runs(), run_optax),
        ("pytorch_optimizer 4.1.0, float64", package_runs(), run_torch),
        ("prodigyopt 1.1.2, float64", prodigy_runs(), run_torch),
        ("pytorch_optimizer 4.1.0, float64", soap_runs(), run_torch),
        ("pytorch_optimizer 4.1.0, float64", shampoo_runs(), run_torch),
    ]:
        for name, preset, settings, recipe, tensor_set, tolerance in recipes:
            if name in recorded:
                runs.append(recorded[name])
                continue
            updates = list(run(recipe, tensor_set))
            average = {"average": updates.pop()} if len(updates) > len(KEPT_STEPS) else {}
            runs.append(
                {
                    "name": name,
                    "source": source,
                    "optimizer": preset,
                    "settings": dict(item.split("=") for item in settings.split()),
                    "tensors": tensor_set,
                    "tolerance": tolerance,
                    "updates": updates,
                    **average,
                }
            )
    return {
        "recorded_by": "tests/golden/record_hand_designed.py",
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "optax": optax.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "steps": STEPS,
        "kept_steps": KEPT_STEPS,
        "kept": KEPT,
        "tensors": {
            name: [
                {"shape": shape, "gradient_scale": g, "parameter_scale": p}
                for shape, g, p in tensors
            ]
            for name, tensors in TENSOR_SETS.items()
        },
        "runs": runs,
    }


if __name__ == "__main__":
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hand", "hand_designed.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    kept_runs = {}
    if "--all" not in sys.argv and os.path.exists(path):
        with open(path) as file:
            kept_runs = {run["name"]: run for run in json.load(file)["runs"]}
    recorded = record(kept_runs)
    with open(path, "w") as file:
        head = {key: value for key, value in recorded.items() if key != "runs"}
        file.write(json.dumps(head)[:-1] + ', "runs": [\n')
        file.write(",\n".join(json.dumps(run) for run in recorded["runs"]))
        file.write("\n]}\n")
    print(path, os.path.getsize(path), "bytes")
