# SPDX-License-Identifier: Apache-2.0
#
# scores_numpy.py OUTPUT DRAWS: what scores_program printed (OUTPUT), computed again from its losses and from the runs
# that its bootstrap drew (DRAWS), within 1e-9; and by rliable where it is installed.
import math
import sys
import warnings

import numpy as np

REPLICATES = 50000
said = {}
for line in open(sys.argv[1], encoding="utf-8"):
    name, *numbers = line.split()
    said[name] = np.array([float(x) for x in numbers])
tasks, entries, seeds, points, reference = said["shape"].astype(int)
steps, x, thresholds = said["steps"][0], said["x"], said["thresholds"]
losses = said["losses"].reshape(tasks, entries, seeds, points)
draws = np.fromfile(sys.argv[2], np.int32)
cells = seeds * tasks
draws, pairs = draws[:4 * REPLICATES * cells], draws[4 * REPLICATES * cells:]
draws = draws.reshape(4, REPLICATES, seeds, tasks)
pairs = pairs.reshape(REPLICATES, 2, seeds, tasks)
faults, compared = [], 0


def compare(name, expected):
    global compared
    got, expected = said[name], np.atleast_1d(np.asarray(expected, float)).ravel()
    compared += expected.size
    off = ~np.isclose(got, expected, rtol=1e-9, atol=1e-9)
    if off.any():
        faults.append(f"{name}: {got[off][:3]}, expected {expected[off][:3]}")


# ---- scores of runs


def smooth(curve, factor):
    out, last = [], math.nan
    for y in curve:
        if math.isfinite(y):
            last = y if math.isnan(last) else factor * last + (1 - factor) * y
        out.append(last)
    return np.array(out)


def score_runs(entry):
    final_loss, speed_up, inverse, ratio = np.zeros((4, seeds, tasks))
    for t in range(tasks):
        adam = losses[t, reference]
        envelope = np.minimum.accumulate(smooth(adam.mean(0), 0.95))
        for s in range(seeds):
            own, end = smooth(losses[t, entry, s], 0.9), losses[t, entry, s, -1]
            target = smooth(adam[s], 0.9)[-1] if np.isfinite(adam[s, -1]) else math.inf
            loss = own[-1] if np.isfinite(end) else math.inf
            if math.isfinite(target) and math.isfinite(loss) and loss > 0:
                final_loss[s, t] = target / loss
            down = [x[i] for i in range(1, points) if own[i] <= target]
            if math.isfinite(target) and math.isfinite(loss) and down:
                speed_up[s, t] = steps / down[0]
            if math.isfinite(loss): # np.interp wants rising x; of equal losses the first step counts
                keep = np.r_[True, np.diff(envelope) < 0]
                inverse[s, t] = np.interp(-end, -envelope[keep], x[keep], left=0, right=steps) / steps
            if math.isinf(target) or math.isinf(loss):
                ratio[s, t] = (target == math.inf) * 1.0 - (loss == math.inf) * 1.0
                ratio[s, t] *= math.log(1000)
            else:
                a, b = (math.log(v) if v > 0 else -1e9 for v in (target, loss))
                ratio[s, t] = np.clip(a - b, -math.log(1000), math.log(1000))
    return final_loss, speed_up, inverse, ratio


# ---- aggregates: scores[..., runs, tasks]


def iqm(scores):
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), -1)
    n = flat.shape[-1]
    return flat[..., n // 4:n - n // 4].mean(-1)


def resample(scores, drawn):
    return np.take_along_axis(scores[None], drawn, 1)


def interval(aggregate, scores, resampled):
    return np.r_[aggregate(scores[None]), np.percentile(aggregate(resampled), [2.5, 97.5])]


def mean(scores):
    return scores.mean(-2).mean(-1)


AGGREGATES = {"iqm": iqm, "mean": mean, "median": lambda s: np.median(s.mean(-2), -1),
              "gap": lambda s: 1 - np.minimum(s, 1).mean((-2, -1))}


def profile(scores, resampled):
    return [interval(lambda s: np.count_nonzero(s > tau, (-2, -1)) / cells, scores, resampled) for tau in thresholds]


def improvement(a, b):
    a, b = a[..., :, None, :], b[..., None, :, :]
    return ((a > b) + 0.5 * (a == b)).mean((-3, -2)).mean(-1)


# ---- Student's t: its density summed by Simpson's rule


def central_probability(t, n):
    at = np.linspace(-t, t, 4001)
    f = math.gamma((n + 1) / 2) / math.gamma(n / 2) / math.sqrt(n * math.pi) * (1 + at * at / n) ** (-(n + 1) / 2)
    return (at[1] - at[0]) / 3 * (f[0] + f[-1] + 4 * f[1:-1:2].sum() + 2 * f[2:-1:2].sum())


def student_quantile(n):
    low, high = 0.0, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if central_probability(middle, n) < 0.95 else (low, middle)
    return low


# ---- comparison


quantile, everyone = student_quantile(seeds - 1), {}
for e in range(entries):
    everyone[e] = score_runs(e)
for e, (final_loss, speed_up, inverse, ratio) in everyone.items():
    for stream, (name, scores) in enumerate(
            {"final_loss": final_loss, "speed_up": speed_up, "inverse_curve": inverse}.items()):
        resampled = resample(scores, draws[stream])
        compare(f"{name}.scores.{e}", scores)
        for aggregate, compute in AGGREGATES.items():
            compare(f"{name}.{aggregate}.{e}", interval(compute, scores, resampled))
        if e == 3: # it takes time
            compare(f"{name}.profile.{e}", profile(scores, resampled))
    compare(f"log_ratio.{e}", interval(mean, ratio, resample(ratio, draws[3])))
    for name, a, b in (("improvement", final_loss, everyone[reference][0]),
                       ("pair", speed_up, everyone[(e + 1) % entries][1])):
        replicates = improvement(resample(a, pairs[:, 0]), resample(b, pairs[:, 1]))
        compare(f"{name}.{e}", np.r_[improvement(a, b), np.percentile(replicates, [2.5, 97.5])])
    verdicts = []
    for t in range(tasks):
        value, half = ratio[:, t].mean(), quantile * ratio[:, t].std(ddof=1) / math.sqrt(seeds)
        verdicts.append(int(value - half > 0) - int(value + half < 0))
        diverged = (~np.isfinite(losses[t, e, :, -1])).sum()
        compare(f"task.{e}.{t}", [value, value - half, value + half, verdicts[-1], diverged])
    compare(f"counts.{e}", [verdicts.count(1), verdicts.count(0), verdicts.count(-1),
                            (~np.isfinite(losses[:, e, :, -1])).sum()])

# The results must reach the cases that scores treat on their own.
counts = np.array([said[f"counts.{e}"] for e in range(entries)])
inverse = np.array([said[f"inverse_curve.scores.{e}"] for e in range(entries)])
for what, found in {"task won": counts[:, 0], "task tied": counts[:, 1], "task lost": counts[:, 2],
                    "run diverged": counts[:, 3], "loss within Adam's curve": (inverse > 0) & (inverse < 1)}.items():
    if not found.any():
        faults.append(f"no {what}")

print(f"numpy: {compared} numbers compared, {len(faults)} differ")

# ---- rliable draws its own replicates: values agree, ends of intervals up to its draws

try:
    import rliable.library
    import rliable.metrics
except Exception as e: # not installed, or not with the pandas that it needs
    print(f"not compared with rliable: {e}")
else:
    warnings.simplefilter("ignore", FutureWarning)
    metrics, own = rliable.metrics, {"iqm": "aggregate_iqm", "mean": "aggregate_mean", "median": "aggregate_median",
                                     "gap": "aggregate_optimality_gap"}
    largest, widest = 0.0, 0.0
    for e in (0, 3):
        scores = {"ours": everyone[e][0]}
        value, ends = rliable.library.get_interval_estimates(
            scores, lambda s: np.array([getattr(metrics, f)(s) for f in own.values()]), reps=2000,
            random_state=np.random.RandomState(e))
        for i, name in enumerate(own):
            got = said[f"final_loss.{name}.{e}"]
            largest = max(largest, abs(got[0] - value["ours"][i]))
            if got[2] > got[1]:
                widest = max(widest, np.abs(got[1:] - ends["ours"][:, i]).max() / (got[2] - got[1]))
        both = metrics.probability_of_improvement(everyone[e][0], everyone[reference][0])
        largest = max(largest, abs(said[f"improvement.{e}"][0] - both))
        shares, _ = rliable.library.create_performance_profile(scores, thresholds, reps=2)
        largest = max(largest, np.abs(said[f"final_loss.profile.{e}"][::3] - shares["ours"]).max())
    print(f"rliable: values differ by {largest:.1e} at most, ends of intervals by {widest:.3f} of their width")
    if largest > 1e-9 or widest > 0.1:
        faults.append("rliable disagrees")

print("\n".join(faults))
sys.exit(1 if faults else 0)
