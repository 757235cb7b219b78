"""Swaps programs of several sizes out of a GPU's memory and in again, and says how fast that was.

usage: swap_check.py WEIR FOLDER-OF-THE-AGENT KEEP MIB...
"""

import sys

from node import BESIDE, Node, finish, tell

node, keep = Node(*sys.argv[1:3]), sys.argv[3]

for mib in map(int, sys.argv[4:]):
    program = node.run(["--gpu", "0.5", "--gpu-memory", f"{mib + BESIDE}Mi", "--lend"], keep, str(mib))
    print(f"{mib} MiB: {program.stdout.readline().strip()};",
          "this machine copies at", float(tell(program, "speed")) / 1e9, "GB/s")
    for _ in range(3):
        for to in "out", "in":
            said = node.swap(node.jobs()[0]["id"], to)
            job = node.jobs()[0]
            used = sum(part["used"] for part in job["parts"])
            print(f"  {said}: {used / max(1, job['took']):.2f} GB/s")
        print(" ", tell(program, "check"), tell(program, "replay"), tell(program, "spin"))
    print("  it ended with", finish(program))
    node.empty()
