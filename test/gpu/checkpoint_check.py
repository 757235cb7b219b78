"""Has the driver put a program's state aside and back, to compare with swapping.

usage: checkpoint_check.py LIBCUDA KEEP CHECKPOINT MIB...
"""

import subprocess
import sys

from node import finish, tell

cuda, keep, checkpoint = sys.argv[1:4]

for mib in sys.argv[4:]:
    program = subprocess.Popen([keep, mib], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"{mib} MiB: {program.stdout.readline().strip()}")
    done = subprocess.run([checkpoint, cuda, str(program.pid)], capture_output=True, text=True, timeout=120)
    print((done.stdout + done.stderr).strip())
    print(tell(program, "check"), tell(program, "replay"))
    finish(program)
