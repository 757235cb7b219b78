"""Swaps a program out of a GPU's memory and in again, and says how fast that was.

usage: swap_check.py WEIR FOLDER-OF-THE-AGENT KEEP MIB
"""

import json
import os
import socket
import subprocess
import sys

weir, folder, keep, mib = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])


def job():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(folder, "agent.sock"))
        s.sendall(b"GET /v1/node HTTP/1.0\r\nHost: agent\r\n\r\n")
        answer = b"".join(iter(lambda: s.recv(1 << 16), b""))
    return json.loads(answer.partition(b"\r\n\r\n")[2])["jobs"][0]


program = subprocess.Popen(
    [weir, "run", "--dir", folder, "--gpu", "0.5", "--gpu-memory", f"{mib + 64}Mi", "--lend", "--", keep, str(mib)],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def tell(word):
    program.stdin.write(word + "\n")
    program.stdin.flush()
    return program.stdout.readline().strip()


print(program.stdout.readline().strip())
print("this machine copies at", float(tell("speed")) / 1e9, "GB/s")
for turn in range(3):
    for to in "out", "in":
        while True:  # the arena may not be there yet
            done = subprocess.run([weir, "swap", to, job()["id"], "--dir", folder], capture_output=True, text=True)
            if "not there yet" not in done.stderr:
                break
        j = job()
        used = sum(p["used"] for p in j["parts"])
        print(done.stdout.strip(), done.stderr.strip(), f"{used / max(1, j['took']):.2f} GB/s")
    print(tell("spin"), tell("check"))
program.stdin.close()
print("it ended with", program.wait())
