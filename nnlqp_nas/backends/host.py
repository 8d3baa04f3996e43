"""Facts of the machine that measures."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path
from typing import Any

_RELEVANT_SETS = (
    *("sse4_1", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "asimd", "asimdhp", "asimddp", "sve", "sve2", "i8mm", "bf16"),
)
_IMPLIED_SETS = frozenset({"sse4_1", "avx", "f16c", "asimd"})


@cache
def _cpu_fields() -> dict[str, str]:
    """Fields of the first processor in ``/proc/cpuinfo``; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _cpu_model() -> str:
    fields = _cpu_fields()
    name = re.sub(r"\((R|TM)\)| CPU| Processor|@.*", "", fields.get("model name", "")).strip() or platform.processor() or platform.machine()
    # Virtual machines hide the model behind a family name; two generations must not look alike.
    is_vague = not re.search(r"\d", name) and "cpu family" in fields
    return f"{name} (family {fields['cpu family']} model {fields['model']})" if is_vague else name


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


@cache
def host_facts() -> dict[str, Any]:
    """Return CPU model, cores, instruction sets, memory and operating system, JSON types only."""
    fields = _cpu_fields()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return {
        "cpu": _cpu_model(),
        "n_cores": os.cpu_count() or 1,
        "instruction_sets": [name for name in _RELEVANT_SETS if name in flags],
        "memory_bytes": _memory_bytes(),
        "os": f"{platform.system()} {platform.release()}",
    }


@cache
def host_name() -> str:
    """Return the machine in one line, such as ``AMD EPYC 7B13 / avx2,fma / 2 cores``.

    The same on every run and after every boot: CPU model, instruction sets that engines choose
    their kernels by, number of cores.
    """
    facts = host_facts()
    sets = ",".join(name for name in facts["instruction_sets"] if name not in _IMPLIED_SETS)
    return f"{facts['cpu']} / {sets or platform.machine()} / {facts['n_cores']} cores"
