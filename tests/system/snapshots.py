"""How good real processes are while they train: from the snapshots and metrics they write
(hubbub node --snapshot-dir, --metrics), for one small network on Fashion-MNIST."""
import gzip
import json
import os
import re

import numpy

HIDDEN, TICK_MS = 64, 250
MODEL = f"mlp:784-{HIDDEN}-10"
DATA = "/usr/share/datasets/fashion-mnist/t10k-"


def read_test():
    def read(name, offset):
        with gzip.open(DATA + name) as f:
            return numpy.frombuffer(f.read(), numpy.uint8, offset=offset)
    x = read("images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(numpy.float32) / 255
    return x, read("labels-idx1-ubyte.gz", 8)


def accuracy(test, theta):
    """Of the network whose weights and biases lie in theta, layer by layer."""
    x, y = test
    a, b = HIDDEN * 784, HIDDEN * 785
    hidden = numpy.maximum(x @ theta[:a].reshape(HIDDEN, 784).T + theta[a:b], 0)
    out = hidden @ theta[b:b + 10 * HIDDEN].reshape(10, HIDDEN).T + theta[b + 10 * HIDDEN:]
    return float((out.argmax(1) == y).mean())


def flags(folder):
    return ["--snapshot-dir", folder, "--snapshot-every", f"{TICK_MS}ms", "--report-every=500ms"]


def read_metrics(path):
    """When training began, and times and steps of the reports; a peer that was restarted appends
    to its file and counts from 0 again."""
    with open(path) as f:
        rows = [json.loads(line) for line in f]
    began = next(r["time"] for r in rows if r["event"] == "state" and r["state"] == "training")
    times, steps, before = [began], [0], 0
    for r in rows:
        if r["event"] == "start":
            before = steps[-1]
        elif r["event"] == "report":
            times.append(r["time"])
            steps.append(before + r["steps_done"])
    return began, times, steps


def curves(test, folder, metrics, late_s):
    """Over the ticks of which there is a snapshot of every peer: times since training began, steps
    of all peers, accuracies of the mean model and, from late_s on (0 before), the mean of the
    peers'. metrics: a file a peer."""
    names = [re.fullmatch(r"(\d+)-(\d+)\.f32", name) for name in os.listdir(folder)]
    ticks, n = [int(m[1]) for m in names], len(metrics)
    ticks = sorted(t for t in set(ticks) if ticks.count(t) == n)
    reports = [read_metrics(path) for path in metrics]
    began = numpy.mean([r[0] for r in reports])
    rows = {"times": [], "steps": [], "mean_model": [], "peers": []}
    for tick in ticks:
        at = tick * TICK_MS / 1e3
        thetas = [numpy.fromfile(f"{folder}/{tick}-{i + 1}.f32", numpy.float32) for i in range(n)]
        rows["times"].append(at - began)
        rows["steps"].append(sum(numpy.interp(at, times, steps) for _, times, steps in reports))
        rows["mean_model"].append(accuracy(test, numpy.mean(thetas, 0)))
        late = at - began >= late_s
        rows["peers"].append(numpy.mean([accuracy(test, t) for t in thetas]) if late else 0)
    return rows


def at_equal_steps(runs, which):
    """Per cent, over the last eighth of the steps that all of the runs have made."""
    last = min(run["steps"][-1] for run in runs)
    steps = numpy.linspace(0.875 * last, last, 20)
    return [100 * float(numpy.mean(numpy.interp(steps, run["steps"], run[which]))) for run in runs]
