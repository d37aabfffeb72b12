"""Which processor was measured: enough to tell it from others of the same name; and a page that keeps all of them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.deploy_page import TOP, page
from depthdial.devices.processors import cache_files, identity, this_processor, title

EPYC = """\
processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 1
model name	: AMD EPYC 7B13
stepping	: 0
flags		: fpu sse sse2 ssse3 fma sse4_1 sse4_2 avx avx2
"""
PI4 = """\
processor	: 0
BogoMIPS	: 108.00
Features	: fp asimd evtstrm crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3

Model		: Raspberry Pi 4 Model B Rev 1.4
"""
CACHES = {
    (0, "level"): "1", (0, "type"): "Data", (0, "size"): "32K",
    (1, "level"): "1", (1, "type"): "Instruction", (1, "size"): "64K",
    (2, "level"): "2", (2, "type"): "Unified", (2, "size"): "512K",
}  # fmt: skip


def test_processors_of_one_name_are_told_apart() -> None:
    found = identity(EPYC, CACHES, "8")
    assert title(found) == ("AMD EPYC 7B13 (family 25, model 1, stepping 0), AVX2, L1d 32K, L2 512K, 8 cores")
    other = identity(
        EPYC.replace("cpu family	: 25", "cpu family	: 26").replace("avx2", "avx2 avx512f"), CACHES, "8"
    )
    assert title(other) == "AMD EPYC 7B13 (family 26, model 1, stepping 0), AVX-512, L1d 32K, L2 512K, 8 cores"


def test_a_board() -> None:
    found = identity(PI4, {}, "4")
    assert title(found) == "Cortex-A72 (implementer 0x41, part 0xd08, r0x0p3), NEON, 4 cores"


def test_a_machine_that_says_nothing() -> None:
    assert title(identity("", {}, "unknown")) == "unknown, unknown, unknown cores"


def test_this_machine_says_what_it_is() -> None:
    found = this_processor()
    assert "unknown" not in found
    assert found.endswith(" cores")
    assert set(cache_files("/sys", 0)) >= {(0, "level"), (2, "size")}
    assert Path("/proc/cpuinfo").read_text().count(found.partition(" (")[0]) >= 1


def test_a_section_is_written_anew_and_the_others_stay() -> None:
    first = page("# Old\n\nintroduction\n\n## B processor\n\nold figures\n\n### Figures\n\n1\n", "A processor", "new\n")
    assert first == TOP + "## A processor\n\nnew\n\n## B processor\n\nold figures\n\n### Figures\n\n1\n"
    again = page(first, "B processor", "### Figures\n\n2\n")
    assert again == TOP + "## A processor\n\nnew\n\n## B processor\n\n### Figures\n\n2\n"
    assert page(again, "A processor", "new\n") == again
