"""Kills programs in the middle of a swap, and in the middle of a kernel, and looks at what is left of them.

usage: kill_check.py WEIR FOLDER-OF-THE-AGENT KEEP BURN MIB ROUNDS
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

from node import BESIDE, Node, finish

node, keep, burn, mib, rounds = Node(*sys.argv[1:3]), sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
whole = ["--gpu", "1", "--gpu-memory", f"{mib + BESIDE}Mi", "--lend"]
chance = random.Random(1)


def kill_all(job):
    for pid in job["processes"]:
        os.kill(pid, signal.SIGKILL)


def in_a_swap():
    took, left = 1.0, 0
    for n in range(rounds):
        program = node.run(whole, keep, str(mib))
        if program.stdout.readline().strip() != "ready":
            sys.exit(f"round {n}: the whole device was not to be had again")
        job = node.jobs()[0]
        if n == 0:
            node.swap(job["id"], "out")
            took = node.jobs()[0]["took"] / 1e9
            node.swap(job["id"], "in")
        swap = subprocess.Popen([node.weir, "swap", "out", job["id"], "--dir", node.folder],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, 1.2 * took))
        kill_all(job)
        program.wait()
        swap.wait()
        left += not node.empty()
    print(f"{rounds} killed on their way out, {left} of them not forgotten after 30 s; all had what they asked for")


def in_a_kernel():
    for n in range(rounds):
        program = node.run(["--gpu", "0.5"], burn, "50000", "30")
        time.sleep(chance.uniform(1, 1.5))
        other = node.run(["--gpu", "0.5"], burn, "1000", "3")
        time.sleep(1)
        kill_all(next(j for j in node.jobs() if j["leader"] == program.pid))
        program.wait()
        share = json.loads(other.stdout.read())["share"]
        print(f"killed in a kernel of 50 ms: who shared the device had {share:.1f}% of 3 s, of which 2 s alone")
        finish(other)
        node.empty()


in_a_swap()
in_a_kernel()
