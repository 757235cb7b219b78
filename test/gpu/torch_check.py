"""Takes memory until there is none left and multiplies for a while, by PyTorch.

PYTORCH_CUDA_ALLOC_CONF says by which of its allocators.
"""

import time

try:
    import torch
except ImportError:
    raise SystemExit("PyTorch is not installed here")

free, total = torch.cuda.mem_get_info()
print(f"PyTorch {torch.__version__}: {free >> 20} of {total >> 20} MiB free")
held = []
try:
    while True:
        held.append(torch.empty(256 << 20, dtype=torch.uint8, device="cuda"))
except torch.cuda.OutOfMemoryError as e:
    print(f"{len(held) * 256} MiB held, then: {str(e).splitlines()[0][:120]}")
held.clear()
torch.cuda.empty_cache()
a = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
torch.cuda.synchronize()
began, rounds = time.monotonic(), 0
while time.monotonic() - began < 5:
    for _ in range(20):
        a @ a
    torch.cuda.synchronize()
    rounds += 20
print(f"{rounds / (time.monotonic() - began):.0f} products of 4096 a second")
