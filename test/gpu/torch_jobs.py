"""Runs PyTorch programs side by side, each with its part, and says what each did.

usage: torch_jobs.py WEIR FOLDER-OF-THE-AGENT SECONDS
       torch_jobs.py child SECONDS
"""

import sys
import time


def child(length):
    import torch

    a = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
    for _ in range(20):
        a @ a
    torch.cuda.synchronize()
    print("ready", flush=True)
    sys.stdin.readline()
    began, rounds = time.monotonic(), 0
    while time.monotonic() - began < length:
        for _ in range(10):
            a @ a
        torch.cuda.synchronize()
        rounds += 10
    print(rounds / (time.monotonic() - began))


def side_by_side(node, count, length):
    flags = ["--gpu", f"{1000 // count / 1000}", "--gpu-memory", "4Gi"]
    programs = [node.run(flags, sys.executable, __file__, "child", str(length)) for _ in range(count)]
    if any(p.stdout.readline().strip() != "ready" for p in programs):
        raise SystemExit("a program did not begin")
    for p in programs:
        p.stdin.write("go\n")
        p.stdin.flush()
    rates = [float(p.stdout.readline()) for p in programs]
    for p in programs:
        p.wait()
    print(f"{count}: {sum(rates):.0f} products of 4096 a second together, {min(rates):.0f} to {max(rates):.0f} each")
    node.empty()


if sys.argv[1] == "child":
    child(float(sys.argv[2]))
else:
    from node import Node

    try:
        import torch  # noqa: F401
    except ImportError:
        raise SystemExit("PyTorch is not installed here")
    for n in 1, 2, 8:
        side_by_side(Node(*sys.argv[1:3]), n, float(sys.argv[3]))
