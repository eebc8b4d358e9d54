# SPDX-License-Identifier: Apache-2.0
#
# read_events.py DIR: reads the event files of a run as TensorBoard does and compares them with its metrics.jsonl:
# every number of every line is a point with its step, nothing is there twice, nothing else is there. Of the lists,
# those in LISTS are curves: one for each task.
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


LISTS = ("task_meta_loss", "eval_task_loss")


def expected_points(folder):
    """{name of a field: [(step, value)]} of all finite numbers in metrics.jsonl."""
    points = {}
    for line in open(folder + "/metrics.jsonl"):
        row = json.loads(line)
        step = row.pop("outer_step")
        for name in LISTS:
            row.update((f"{name}_{i}", value) for i, value in enumerate(row.get(name, [])))
        for name, value in row.items():
            if isinstance(value, (int, float)):
                points.setdefault(name, []).append((step, value))
    return points


def main(folder):
    reader = EventAccumulator(folder, size_guidance={"scalars": 0})
    reader.Reload()
    points = expected_points(folder)
    tags = {tag.split("/")[-1]: tag for tag in reader.Tags()["scalars"]}
    assert set(tags) == set(points), f"TensorBoard shows {sorted(tags)}, metrics.jsonl has {sorted(points)}"
    for name, expected in points.items():
        found = [(event.step, event.value) for event in reader.Scalars(tags[name])]
        assert [step for step, _ in found] == [step for step, _ in expected], f"{name}: steps {found} for {expected}"
        for (step, value), (_, want) in zip(found, expected):
            assert abs(value - want) <= 1e-6 * abs(want), f"{name} at {step}: {value}, metrics.jsonl has {want}"
    print(f"{len(tags)} curves of {len(points['meta_loss'])} outer steps: {' '.join(sorted(tags.values()))}")


main(sys.argv[1])
