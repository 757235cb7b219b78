"""Asks an agent, and runs programs under it: what the checks of this folder have in common."""

import json
import os
import socket
import subprocess
import time


# MiB that are asked for beside what a program takes: for its context and its code, and for small buffers.
BESIDE = 1088


class Node:
    """The agent whose folder is given, and the weir that is its client."""

    def __init__(self, weir, folder):
        self.weir, self.folder = weir, folder

    def state(self):
        """What the agent knows, as docs/reference/cli.md has it: devices, jobs, arena."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.folder, "agent.sock"))
            s.sendall(b"GET /v1/node HTTP/1.0\r\nHost: agent\r\n\r\n")
            answer = b"".join(iter(lambda: s.recv(1 << 16), b""))
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    def jobs(self):
        return self.state()["jobs"] or []

    def empty(self, patience=30):
        """Waits until the agent has no jobs; says whether that came true."""
        end = time.monotonic() + patience
        while self.jobs():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def run(self, flags, *program, env=None):
        """Starts a program under weir run; its input and output are pipes of text."""
        return subprocess.Popen([self.weir, "run", "--dir", self.folder, *flags, "--", *program],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                env={**os.environ, **(env or {})})

    def swap(self, job, to, patience=60):
        """Swaps a job, as soon as its arena is there; returns what weir says."""
        end = time.monotonic() + patience
        while True:
            done = subprocess.run([self.weir, "swap", to, job, "--dir", self.folder], capture_output=True, text=True)
            if "not there yet" not in done.stderr or time.monotonic() > end:
                return (done.stdout + done.stderr).strip()
            time.sleep(0.1)


def tell(program, word):
    """Writes a line to a program and returns the one that it answers."""
    program.stdin.write(word + "\n")
    program.stdin.flush()
    return program.stdout.readline().strip()


def finish(program):
    """Ends a program's input and waits for it."""
    program.stdin.close()
    return program.wait()
