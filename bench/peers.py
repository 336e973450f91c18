# SPDX-License-Identifier: Apache-2.0
"""What compare_torch and compare_infer share: peers in processes of their own."""
import os
import platform
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))


class Worker:
    """One peer in its own process, asleep between its turns. It says `ready VERSION` when it is,
    and answers every line with the seconds of its runs."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        hello = self.process.stdout.readline().split()
        if not hello or hello[0] != "ready":
            raise SystemExit(f"{os.path.basename(sys.argv[0])}: {name} did not start")
        self.version = hello[1]

    def run(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return [float(t) for t in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cpu_name():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def install(venv, packages):
    """Makes a virtual environment outside this tree; returns its Python."""
    venv, tree = os.path.abspath(venv), os.path.dirname(HERE)
    if os.path.commonpath([venv, tree]) == tree:
        program = os.path.basename(sys.argv[0])
        raise SystemExit(f"{program}: {venv}: wanted a folder outside the tree")
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = os.path.join(venv, "bin", "python")
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python
