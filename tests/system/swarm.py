"""What the system tests share: nodes on free loopback ports, their logs and results, and one line
per case.

Everything started here is killed, and everything written is removed, when the test ends. Times on
a machine that others use are no proof of anything: a test that bounds one says so in its name.
"""
import atexit
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import numpy

HUBBUB = os.path.abspath(os.environ.get("HUBBUB", "./build/release/hubbub"))
BLOBS = "blobs:classes=5,features=20,train=5000,test=1000"
TMP = tempfile.mkdtemp(prefix="hubbub-system-")

_started, _kept = [], []
_passed = _failed = 0


def _end(processes):
    for process in list(processes):
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        _started.remove(process)


def _clean_up():
    _end(_started)
    shutil.rmtree(TMP, ignore_errors=True)


atexit.register(_clean_up)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


# ---- cases -----------------------------------------------------------------------------------


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def case(name, function, *args):
    """Runs one case and prints its line. What the function returns is shown behind it. Words on the
    command line choose the cases with one of them in the name."""
    global _passed, _failed
    if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
        return
    start = time.monotonic()
    try:
        note = function(*args)
    except Exception as e:  # a case must not take the others with it
        _failed += 1
        where = traceback.extract_tb(e.__traceback__)[-1]
        print(f"FAIL {name}: {e}", flush=True)
        if not isinstance(e, AssertionError):
            print(f"     {type(e).__name__} at line {where.lineno} of {where.filename}")
        return
    finally:
        _end([p for p in _started if p not in _kept])
    _passed += 1
    print(f"ok   {name} ({time.monotonic() - start:.1f} s){': ' + note if note else ''}",
          flush=True)


def keep(nodes):
    """These outlive the end of a case, until release."""
    _kept.extend(n.process for n in nodes)


def release(nodes):
    for n in nodes:
        _kept.remove(n.process)


def finish():
    print(f"{_passed} passed, {_failed} failed", flush=True)
    sys.exit(1 if _failed or not _passed else 0)


# ---- files and ports -------------------------------------------------------------------------

_n_paths = 0


def path(name):
    """A new path in the test's own folder."""
    global _n_paths
    _n_paths += 1
    return os.path.join(TMP, f"{_n_paths:03}-{name}")


def write(name, text):
    p = path(name)
    with open(p, "w") as f:
        f.write(text)
    return p


def free_ports(n, host="127.0.0.1"):
    """Ports below the range from which the system serves those who ask for any: no outgoing
    connection takes one of them before its node listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = []
    while len(ports) < n:
        port = random.randrange(15000, 32000)
        with socket.socket(family, socket.SOCK_STREAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


# ---- processes -------------------------------------------------------------------------------


class Process:
    """One hubbub, its output in files so that no pipe can block it."""

    def __init__(self, *args, env=None, command="node", default_out=False):
        self.args = [HUBBUB, command, *map(str, args)]
        self.out_path, self.log_path = path("out"), path("log")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HUBBUB_")}
        if not default_out:
            environment["HUBBUB_OUT"] = ""  # no model file unless a test asks for one
        environment.update(env or {})
        with open(self.out_path, "wb") as out, open(self.log_path, "wb") as log:
            self.started = time.time()
            self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=log, env=environment)
        self.pid = self.process.pid
        _started.append(self.process)

    def wait(self, timeout=60):
        """Its exit code; 128 + signal if one ended it."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {timeout} s; log ends:\n"
                                 + self.log()[-600:]) from None
        return code if code >= 0 else 128 - code

    def signal(self, number):
        self.process.send_signal(number)

    def is_running(self):
        return self.process.poll() is None

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def out(self):
        with open(self.out_path, errors="replace") as f:
            return f.read()

    def result(self):
        text = self.out()
        check(text.strip(), "no result on stdout; log ends:\n" + self.log()[-600:])
        return json.loads(text)

    def errors(self):
        return [line for line in self.log().splitlines() if re.match(r"[\d:.]+ error ", line)]

    def wait_log(self, fragment, timeout=15):
        """The first line of the log with the fragment."""
        end = time.monotonic() + timeout
        while True:
            for line in self.log().splitlines():
                if fragment in line:
                    return line
            if time.monotonic() > end or not self.is_running():
                break
            time.sleep(0.03)
        for line in self.log().splitlines():
            if fragment in line:
                return line
        raise AssertionError(f"no '{fragment}' in the log within {timeout} s; it ends:\n"
                             + self.log()[-600:])

    def seconds_to(self, line):
        """From the start of the process to a line of its log."""
        hours, minutes, seconds = line.split(" ")[0].split(":")
        midnight = time.localtime(self.started)
        base = time.mktime(midnight[:3] + (0, 0, 0) + midnight[6:8] + (-1,))
        at = base + int(hours) * 3600 + int(minutes) * 60 + float(seconds) - self.started
        return at + 86400 if at < -43200 else at


def refused(*args, code, fragment, also="", command="node", env=None, timeout=20):
    """Ends with the code, one line of error with the fragment, and nothing on stdout."""
    p = Process(*args, command=command, env=env)
    got = p.wait(timeout)
    shown = " ".join(map(str, args))
    lines = p.log().splitlines()
    check(got == code, f"{shown}: exit code {got}, wanted {code}; {lines[-1:]}")
    errors = p.errors() if command in ("node", "up", "demo") else lines
    check(len(errors) == 1, f"{shown}: {len(errors)} lines of error: {errors}")
    check(fragment in errors[0] and also in errors[0], f"{shown}: no '{fragment}' in: {errors[0]}")
    check(p.out() == "", f"{shown}: stdout has '{p.out()[:80]}'")


def nodes(n, flags, ports=None, each=None, start=True):
    """n peers that know each other. each(i): more flags of peer i, from 0."""
    ports = ports or free_ports(n)
    lists = []
    for i in range(n):
        own = [f"--listen=127.0.0.1:{ports[i]}", f"--shard={i + 1}/{n}", "--json"]
        own += [f"--peer=127.0.0.1:{p}" for k, p in enumerate(ports) if k != i]
        lists.append(own + list(flags) + list(each(i) if each else []))
    return [Process(*own) for own in lists] if start else lists


def wait_all(processes, timeout, code=0):
    end = time.monotonic() + timeout
    codes = [p.wait(max(1.0, end - time.monotonic())) for p in processes]
    for p, c in zip(processes, codes):
        check(c == code, f"exit codes {codes}, wanted {code}; log ends:\n" + p.log()[-900:])
    return [p.result() for p in processes] if code in (0, 5) else None


def rss_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1))


# ---- models ----------------------------------------------------------------------------------


def read_model(file):
    """The tensors in the file's order, and its metadata."""
    with numpy.load(file) as archive:
        meta = json.loads(archive["hubbub.json"]) if "hubbub.json" in archive.files else None
        tensors = {k: archive[k] for k in archive.files if k != "hubbub.json"}
    return tensors, meta


def read_theta(file):
    tensors, _ = read_model(file)
    return numpy.concatenate([t.ravel() for t in tensors.values()]).astype(numpy.float64)


def consensus(files):
    """The largest distance of a model to the mean of all, relative to the mean."""
    thetas = numpy.stack([read_theta(f) for f in files])
    mean = thetas.mean(axis=0)
    return max(numpy.linalg.norm(t - mean) for t in thetas) / numpy.linalg.norm(mean)
