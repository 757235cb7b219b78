"""Takes memory in each way that a driver has, up to a limit, beside what the driver says is used.

usage: family_check.py WEIR FOLDER-OF-THE-AGENT FAMILY-PROGRAM MIB PIECE-MIB
"""

import subprocess
import sys

from node import Node, finish

node, family, limit, piece = Node(*sys.argv[1:3]), sys.argv[3], sys.argv[4], sys.argv[5]

for name in subprocess.run([family], capture_output=True, text=True, check=True).stdout.split():
    program = node.run(["--gpu", "0.25", "--gpu-memory", f"{limit}Mi"], family, name, piece)
    print(f"{name}: {program.stdout.readline().strip() or 'no answer'}")
    for job in node.jobs():
        for part in job["parts"]:
            said = ", ".join(f"{key} {part[key] >> 20} MiB" for key in ("limit", "used", "overhead") if key in part)
            print(f"  the agent: {said}")
    if code := finish(program):
        print(f"  it ended with {code}")
    node.empty()
