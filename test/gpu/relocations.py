"""Says whether a library calls its own exports through its table of jumps.

A shadow of the same names would then be called by the driver itself. Reads
ELF64 little-endian by hand: there may be no binutils where the GPU is.
"""

import struct
import sys

DT_NEEDED, DT_PLTRELSZ, DT_STRTAB, DT_SYMTAB, DT_JMPREL, DT_SYMBOLIC, DT_FLAGS = 1, 2, 5, 6, 23, 16, 30


def main(path):
    data = open(path, "rb").read()
    if data[:6] != b"\x7fELF\x02\x01":
        sys.exit(f"{path} is no 64-bit little-endian ELF file")
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, offset + i * size) for i in range(count)]

    def at(address):
        for kind, _, where, virtual, _, length, _, _ in segments:
            if kind == 1 and virtual <= address < virtual + length:
                return address - virtual + where
        sys.exit(f"address {address:#x} is in no segment")

    where, length = next((s[2], s[5]) for s in segments if s[0] == 2)
    dynamic = dict(struct.iter_unpack("<QQ", data[where:where + length]))
    symbolic = DT_SYMBOLIC in dynamic or dynamic.get(DT_FLAGS, 0) & 2
    print("bound to itself when it was linked (SYMBOLIC):", "yes" if symbolic else "no")
    if DT_JMPREL not in dynamic:
        print("it calls nothing by name")
        return
    names, symbols = at(dynamic[DT_STRTAB]), at(dynamic[DT_SYMTAB])
    own = []
    for i in range(dynamic[DT_PLTRELSZ] // 24):
        _, info, _ = struct.unpack_from("<QQq", data, at(dynamic[DT_JMPREL]) + 24 * i)
        name, _, _, section = struct.unpack_from("<IBBH", data, symbols + 24 * (info >> 32))
        text = data[names + name:data.index(b"\0", names + name)].decode()
        if section != 0 and text.startswith("cu"):
            own.append(text)
    print(len(own), "of its own functions are called by name:", " ".join(own[:20]))


main(sys.argv[1])
