"""Which processor it is: enough of what Linux says to tell it from others of the same name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ARM_CORES = {
    "0xd03": "Cortex-A53",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}
"""Parts of implementer 0x41 (Arm) that boards and servers have."""
VECTORS = (
    ("avx512f", "AVX-512"), ("avx2", "AVX2"), ("avx", "AVX"), ("sse4_2", "SSE4.2"), ("sse2", "SSE2"),
    ("sve", "SVE"), ("asimd", "NEON"), ("neon", "NEON"),
)  # fmt: skip
"""Features of /proc/cpuinfo, the widest first, and how vectors are called."""
LEVELS = {"1": "l1d", "2": "l2", "3": "l3"}

KIND = (
    "cpu", "family", "cpu_model", "implementer", "part", "variant", "stepping", "vectors", "l1d", "l2", "l3",
    "cores_online",
)  # fmt: skip
"""What ``identity`` may say."""


def kind_of(fingerprint: Mapping[str, str]) -> dict[str, str]:
    """What the fingerprint of a device says of its processor: what ``identity`` said."""
    return {key: fingerprint[key] for key in KIND if key in fingerprint}


def cache_files(sysfs: str, core: int) -> dict[tuple[int, str], str]:
    """Files that say a core's caches, by index and kind."""
    folder = f"{sysfs}/devices/system/cpu/cpu{core}/cache"
    return {(index, kind): f"{folder}/index{index}/{kind}" for index in range(5) for kind in ("level", "type", "size")}


def identity(cpuinfo: str, caches: Mapping[tuple[int, str], str], cores: str) -> dict[str, str]:
    """Name, family, model and stepping (or Arm's numbers), vectors, caches and cores, as far as they are told.

    ``cpuinfo`` is the text of /proc/cpuinfo, ``caches`` what ``cache_files`` say.
    """
    pairs: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        pairs.setdefault(key.strip(), value.strip())
    found = {"cpu": _name(pairs)}
    keys = {"family": "cpu family", "cpu_model": "model", "stepping": "stepping"}
    if "CPU implementer" in pairs:
        keys = {
            "implementer": "CPU implementer",
            "part": "CPU part",
            "variant": "CPU variant",
            "stepping": "CPU revision",
        }
    found |= {name: pairs[key] for name, key in keys.items() if key in pairs}
    features = set((pairs.get("flags") or pairs.get("Features") or "").split())
    found["vectors"] = next((name for feature, name in VECTORS if feature in features), "unknown")
    for index in range(5):
        level, kind = caches.get((index, "level")), caches.get((index, "type"))
        if level in LEVELS and kind != "Instruction" and (size := caches.get((index, "size"))):
            found[LEVELS[level]] = size
    return found | {"cores_online": cores}


def title(found: Mapping[str, str]) -> str:
    """An identity in a line, for readers."""
    if "implementer" in found:
        numbers = [
            f"implementer {found['implementer']}",
            f"part {found.get('part', '?')}",
            f"r{found.get('variant', '?')}p{found.get('stepping', '?')}",
        ]
    else:
        kinds = (("family", "family"), ("cpu_model", "model"), ("stepping", "stepping"))
        numbers = [f"{word} {found[key]}" for key, word in kinds if key in found]
    caches = [f"{word} {found[key]}" for key, word in (("l1d", "L1d"), ("l2", "L2"), ("l3", "L3")) if key in found]
    about = f" ({', '.join(numbers)})" if numbers else ""
    return ", ".join([f"{found['cpu']}{about}", found["vectors"], *caches, f"{found['cores_online']} cores"])


def this_processor() -> str:
    """What kind of processor this machine has, in a line."""
    files = {key: Path(path) for key, path in cache_files("/sys", 0).items()}
    caches = {key: path.read_text().strip() for key, path in files.items() if path.exists()}
    return title(identity(Path("/proc/cpuinfo").read_text(), caches, str(os.cpu_count())))


def _name(pairs: Mapping[str, str]) -> str:
    """Name of the processor: `model name` on x86; the core, or implementer and part, on Arm."""
    if "model name" in pairs:
        return pairs["model name"]
    if pairs.get("CPU implementer") == "0x41" and pairs.get("CPU part") in ARM_CORES:
        return ARM_CORES[pairs["CPU part"]]
    parts = [pairs[key] for key in ("Hardware", "Model", "CPU implementer", "CPU part", "CPU variant") if key in pairs]
    return " ".join(parts) or "unknown"
