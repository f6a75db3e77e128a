"""Test runs in the running kernel, for comparison: one JSON job a line on standard input, one JSON answer a line out.

A job:    {"type": N, "attachType": N, "progFlags": N, "license": S, "insns": HEX, "btf": HEX, "functions": [[insn, type]],
          "maps": [{"type", "key", "value", "entries", "flags", "data": HEX | null, "freeze": bool}],
          "runs": [{"dataIn": HEX, "ctxIn": HEX, "ctxOut": N, "dataOut": N, "repeat": N, "flags": N, "cpu": N,
          "samples": {"map": index, "producer": N, "records": [[position, HEX with its header]]}}], "read": [map index]}
          A 64-bit immediate with source register 1 or 2 holds the index of a map; the descriptor takes its place.
          "samples" are written to a user ring buffer before the run.
An answer {"load": 0 | errno, "log": S, "runs": [{"errno", "retval", "dataOut", "dataSize", "ctxOut", "duration", "consumer"}],
          "values": {index: HEX of entry 0}}
Nothing is attached anywhere: programs are loaded and test-run only.
"""

import ctypes
import json
import mmap
import os
import struct
import sys

BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, PROG_LOAD, PROG_TEST_RUN, MAP_FREEZE, BTF_LOAD = 0, 1, 2, 5, 10, 22, 18
LIBC = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    """Returns (result or -errno, the attributes as the kernel left them)."""
    buffer = ctypes.create_string_buffer(attributes, 256)
    result = LIBC.syscall(BPF_SYSCALL, command, buffer, 256)
    return (-ctypes.get_errno() if result < 0 else result), buffer.raw


def address(buffer):
    return 0 if buffer is None else ctypes.addressof(buffer)


def buffer_of(text):
    return None if text is None else ctypes.create_string_buffer(bytes.fromhex(text), max(len(text) // 2, 1))


def create_map(spec):
    fd, _ = bpf(MAP_CREATE, struct.pack("<5I", spec["type"], spec["key"], spec["value"], spec["entries"], spec["flags"]))
    if fd < 0:
        raise OSError(-fd, "map create")
    if spec.get("data") is not None:
        key, value = buffer_of("00000000"), buffer_of(spec["data"])
        result, _ = bpf(MAP_UPDATE, struct.pack("<IIQQQ", fd, 0, address(key), address(value), 0))
        if result < 0:
            raise OSError(-result, "map update")
    if spec.get("freeze"):
        bpf(MAP_FREEZE, struct.pack("<I", fd))
    return fd


def with_descriptors(insns, maps):
    slots = [bytearray(insns[i : i + 8]) for i in range(0, len(insns), 8)]
    for slot in slots:
        if slot[0] == 0x18 and slot[1] >> 4 in (1, 2):
            struct.pack_into("<I", slot, 4, maps[struct.unpack_from("<I", slot, 4)[0]])
    return b"".join(slots)


def load(job, maps):
    insns = ctypes.create_string_buffer(with_descriptors(bytes.fromhex(job["insns"]), maps))
    license = ctypes.create_string_buffer(job["license"].encode())
    log = ctypes.create_string_buffer(1 << 16)
    types = load_types(job.get("btf"))
    functions = job.get("functions", [])
    infos = ctypes.create_string_buffer(b"".join(struct.pack("<II", *function) for function in functions))
    attributes = struct.pack(
        "<IIQQIIQII16sIIIIQIIQI",
        *(job["type"], len(job["insns"]) // 16, address(insns), address(license)),
        *(1, len(log), address(log), 0, job.get("progFlags", 0), b"oracle", 0, job.get("attachType", 0)),
        *(types, 8 if functions else 0, address(infos), len(functions), 0, 0, 0),
    )
    fd, _ = bpf(PROG_LOAD, attributes)
    if types:
        os.close(types)
    return fd, log.value.decode(errors="replace")


def load_types(text):
    if text is None:
        return 0
    types = buffer_of(text)
    fd, _ = bpf(BTF_LOAD, struct.pack("<QQIII", address(types), 0, len(text) // 2, 0, 0))
    if fd < 0:
        raise OSError(-fd, "BTF load")
    return fd


def write_samples(fd, entries, producer, records):
    """The producer's page, then the data, twice in a row, so that what reaches the end goes on."""
    with mmap.mmap(fd, mmap.PAGESIZE + 2 * entries, mmap.MAP_SHARED, offset=mmap.PAGESIZE) as ring:
        for position, text in records:
            start, record = mmap.PAGESIZE + position % entries, bytes.fromhex(text)
            ring[start : start + len(record)] = record
        struct.pack_into("<Q", ring, 0, producer)


def consumer_of(fd):
    with mmap.mmap(fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ) as page:
        return struct.unpack_from("<Q", page)[0]


def run(fd, spec):
    data_in, ctx_in = buffer_of(spec.get("dataIn")), buffer_of(spec.get("ctxIn"))
    data_out_bytes, ctx_out_bytes = spec.get("dataOut", 0), spec.get("ctxOut", 0)
    data_out = ctypes.create_string_buffer(data_out_bytes) if data_out_bytes else None
    ctx_out = ctypes.create_string_buffer(ctx_out_bytes) if ctx_out_bytes else None
    attributes = struct.pack(
        "<4I2Q4I2Q3I",
        *(fd, 0, len(spec.get("dataIn") or "") // 2, data_out_bytes, address(data_in), address(data_out)),
        *(spec.get("repeat", 0), 0, len(spec.get("ctxIn") or "") // 2, ctx_out_bytes, address(ctx_in), address(ctx_out)),
        *(spec.get("flags", 0), spec.get("cpu", 0), spec.get("batch", 0)),
    )
    result, after = bpf(PROG_TEST_RUN, attributes)
    _, retval, _, data_size, _, _, _, duration, _, ctx_size = struct.unpack_from("<4I2Q4I", after)
    return {
        "errno": -result if result < 0 else 0,
        "retval": retval,
        "dataOut": data_out.raw[: min(data_size, data_out_bytes)].hex() if data_out else None,
        "dataSize": data_size,
        "ctxOut": ctx_out.raw[: min(ctx_size, ctx_out_bytes)].hex() if ctx_out else None,
        "ctxSize": ctx_size,
        "duration": duration,
    }


def run_on_samples(fd, spec, specs, maps):
    samples = spec.get("samples")
    if samples is None:
        return run(fd, spec)
    ring = samples["map"]
    write_samples(maps[ring], specs[ring]["entries"], samples["producer"], samples["records"])
    return {**run(fd, spec), "consumer": consumer_of(maps[ring])}


def read_value(fd, spec):
    key, value = buffer_of("00000000"), ctypes.create_string_buffer(spec["value"])
    bpf(MAP_LOOKUP, struct.pack("<IIQQQ", fd, 0, address(key), address(value), 0))
    return value.raw.hex()


def answer(job):
    maps = [create_map(spec) for spec in job["maps"]]
    fd, log = load(job, maps)
    try:
        if fd < 0:
            return {"load": -fd, "log": log, "runs": [], "values": {}}
        runs = [run_on_samples(fd, spec, job["maps"], maps) for spec in job["runs"]]
        values = {str(index): read_value(maps[index], job["maps"][index]) for index in job.get("read", [])}
        return {"load": 0, "log": "", "runs": runs, "values": values}
    finally:
        for descriptor in [*maps, fd]:
            if descriptor >= 0:
                os.close(descriptor)


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
