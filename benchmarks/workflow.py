"""Snakemake's share of the time: the default experiment on this machine and on a Slurm of its own, and large dry runs.

``make bench-workflow`` writes docs/benchmarks/workflow.md and ends with one line of JSON. A run is *at work* while at
least one script of a rule is a process; the overhead ratio is the share of the run's time in which none is: reading the
rules, building the graph, queueing, starting Snakemake inside jobs, noticing that jobs have ended. Starting Python and
importing PyTorch count as work, because any other way to run the scripts would have to do that too.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from depthdial.devices.processors import this_processor
from depthdial.runs.provenance import git_commit, versions
from tests.system import slurm_cluster
from tests.system.snakemake_run import ROOT, Run, checkout, compare_results, snakemake

TABLE = ROOT / "docs/benchmarks/workflow.md"
EXPERIMENTS = ("config", "cifar10", "cifar10-resnet32", "cifar10-ablation", "paper")
"""Files of config/ whose jobs are counted, the default first."""
PAPER = ("--configfile", "config/paper.yaml")
CORES = 2
BECOMES_S = 5.0
"""A process bears the command line of the one that started it, or of a shell, until it becomes what it is to be."""
Found = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Measured:
    """A whole run: its time, the time in which a script ran, and the sum over all scripts."""

    seconds: float
    at_work_s: float
    scripts_s: float
    peak_mb: float
    cpu_s: float
    """Processor time of the head itself, which a busy machine does not stretch."""

    @property
    def overhead_ratio(self) -> float:
        """Share of the run in which no script ran."""
        return 1 - self.at_work_s / self.seconds


class Watch:
    """Samples the processes of the host: which scripts of the workflow run, and the memory of the head."""

    def __init__(self, run: Run, place: Path, every_s: float = 0.05) -> None:
        self._head = psutil.Process(run.pid)
        self._place = place
        self._every_s = every_s
        self._spans: dict[tuple[int, float], float] = {}
        self._stop = threading.Event()
        self.peak_bytes = 0
        self.cpu_s = 0.0
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self) -> None:
        known: dict[int, bool] = {}
        while not self._stop.wait(self._every_s):
            pids = set(psutil.pids())
            known = {pid: script for pid, script in known.items() if pid in pids}
            now = time.time()
            for pid in pids:
                try:
                    if known.get(pid) is False:
                        continue
                    process = psutil.Process(pid)
                    created = process.create_time()
                    if pid in known or _is_script(process, self._place):
                        known[pid] = True
                        self._spans[pid, created] = now
                    elif now - created > BECOMES_S:
                        known[pid] = False
                except psutil.Error:
                    continue
            with contextlib.suppress(psutil.Error):
                self.peak_bytes = max(self.peak_bytes, self._head.memory_info().rss)
                used = self._head.cpu_times()
                self.cpu_s = used.user + used.system

    def end(self) -> list[tuple[float, float]]:
        """Stop; the start and the end of every script."""
        self._stop.set()
        self._thread.join()
        return sorted((start, last) for (_, start), last in self._spans.items())


def _is_script(process: psutil.Process, place: Path) -> bool:
    """Whether a process is the Python of a script of the workflow in ``place``, not the shell that starts it."""
    words = process.cmdline()
    return len(words) > 1 and "python" in Path(words[0]).name and words[1].startswith(f"{place}/.snakemake/scripts/")


def union_s(spans: list[tuple[float, float]]) -> float:
    """Length of the union of intervals, sorted by their start."""
    total, reached = 0.0, float("-inf")
    for start, end in spans:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def measure(place: Path, *arguments: str) -> Measured:
    """Run Snakemake to its end and watch it. Raises RuntimeError with what it wrote if it fails."""
    run = Run(place, *arguments)
    watch = Watch(run, place)
    try:
        done = run.wait(timeout_s=3600)
    finally:
        spans = watch.end()
    if done.code:
        raise RuntimeError(f"snakemake {' '.join(arguments)} ended with {done.code}:\n{done.text}")
    scripts_s = sum(end - start for start, end in spans)
    return Measured(done.seconds, union_s(spans), scripts_s, watch.peak_bytes / 2**20, watch.cpu_s)


def quickest(place: Path, *arguments: str) -> Measured:
    """The quickest of three runs: whatever else a machine does can only add."""
    return min((measure(place, *arguments) for _ in range(3)), key=lambda measured: measured.seconds)


def jobs_of(place: Path, *arguments: str) -> dict[str, int]:
    """Jobs by rule, and ``total``, as a dry run counts them."""
    text = snakemake(place, "-n", "--quiet", "rules", *arguments).text
    rows = re.findall(r"^(\w+) +(\d+)$", text.partition("Job stats:")[2], re.M)
    return {rule: int(count) for rule, count in rows}


@dataclass(frozen=True)
class Kind:
    """What the Slurm jobs of one kind, a rule or a group of rules, have asked for at most and used at most."""

    jobs: int
    asked_mb: int
    used_mb: int
    asked_min: int
    used_s: int


def kinds_of_jobs(sacct: str) -> dict[str, Kind]:
    """The jobs by kind, from what sacct prints for ``ACCOUNTS``: a row per job, then one per step of it."""
    kinds: dict[str, list[list[int]]] = {}
    for row in sacct.splitlines():
        _, comment, *figures = row.split("|")
        asked_mb, used_mb, asked_min, used_s = (int(float(figure.rstrip("M") or 0)) for figure in figures)
        if comment:
            kind = comment.removeprefix("rule_").partition("_wildcards_")[0]
            kinds.setdefault(kind, []).append([asked_mb, 0, asked_min, used_s])
        else:  # a step of the job above; only steps have a memory
            kinds[kind][-1][1] = max(kinds[kind][-1][1], used_mb)
    return {kind: Kind(len(jobs), *map(max, *jobs, [0] * 4)) for kind, jobs in sorted(kinds.items())}


ACCOUNTS = (
    *("sacct", "--noheader", "--parsable2", "--units=M", "--duplicates"),
    "--format=JobIDRaw,Comment,ReqMem,MaxRSS,TimelimitRaw,ElapsedRaw",
)


def bench(folder: Path, counts: dict[str, dict[str, int]]) -> tuple[Found, dict[str, Kind]]:
    """All measurements, in new checkouts under ``folder``; what the jobs on Slurm have used."""
    local = checkout(folder / "local")
    here = measure(local, "--cores", str(CORES))
    nothing = quickest(local, "--cores", str(CORES))
    paper = quickest(local, "-n", "--quiet", "rules", *PAPER)
    found: Found = {
        "overhead_ratio_local": round(here.overhead_ratio, 3),
        "run_local_s": round(here.seconds, 1),
        "scripts_local_s": round(here.scripts_s, 1),
        "jobs": counts["config"]["total"],
        "noop_s": round(nothing.seconds, 2),
        "noop_cpu_s": round(nothing.cpu_s, 2),
        "paper_dry_run_s": round(paper.seconds, 2),
        "paper_dry_run_cpu_s": round(paper.cpu_s, 2),
        "paper_dry_run_mb": round(paper.peak_mb),
        "paper_jobs": counts["paper"]["total"],
    }
    programs = slurm_cluster.PROGRAMS + slurm_cluster.ACCOUNTING_PROGRAMS
    if os.geteuid() != 0 or not all(map(shutil.which, programs)):
        return found | {"overhead_ratio_slurm": None, "run_slurm_s": None, "identical_tables": None}, {}
    cluster = slurm_cluster.start(slurm_cluster.Settings(accounting=True))
    try:
        remote = checkout(folder / "slurm")
        there = measure(remote, "--profile", "slurm")
        submitted = len(cluster.jobs())
        kinds = kinds_of_jobs(slurm_cluster.run(*ACCOUNTS))
    finally:
        cluster.stop()
    same = compare_results(local / "results", remote / "results")
    return found | {
        "overhead_ratio_slurm": round(there.overhead_ratio, 3),
        "run_slurm_s": round(there.seconds, 1),
        "scripts_slurm_s": round(there.scripts_s, 1),
        "slurm_jobs": submitted,
        "tables": len(same),
        "identical_tables": sum(same.values()),
    }, kinds


MEANING = {
    "overhead_ratio_local": "share of the run on this machine in which no script ran",
    "run_local_s": f"the default experiment with `--cores {CORES}`, seconds",
    "scripts_local_s": "sum of the times of its scripts, seconds",
    "jobs": "jobs of the default experiment",
    "noop_s": "the same command when everything is there, seconds; the quickest of three",
    "noop_cpu_s": "its processor time",
    "paper_dry_run_s": "`snakemake -n` of config/paper.yaml, seconds; the quickest of three",
    "paper_dry_run_cpu_s": "its processor time",
    "paper_dry_run_mb": "peak memory of that dry run, MiB",
    "paper_jobs": "jobs of config/paper.yaml",
    "overhead_ratio_slurm": "share of the run on Slurm in which no script ran; the profile as shipped",
    "run_slurm_s": "the default experiment on a Slurm of three nodes on the same cores, seconds",
    "scripts_slurm_s": "sum of the times of its scripts, seconds",
    "slurm_jobs": "jobs that Slurm saw: small steps share one",
    "tables": "tables and weights of a run, measurements and what follows from them aside",
    "identical_tables": "of these, the same bit for bit on Slurm as on this machine",
}


def job_table(counts: dict[str, dict[str, int]]) -> list[str]:
    """Jobs by rule, a column per experiment; rules in the order in which Snakemake lists them."""
    rules = dict.fromkeys(rule for jobs in counts.values() for rule in jobs if rule != "total")
    return [
        f"| rule | {' | '.join(f'`config/{name}.yaml`' for name in counts)} |",
        "|---|" + "--:|" * len(counts),
        *(
            f"| {rule} | {' | '.join(str(jobs.get(rule, '')) for jobs in counts.values())} |"
            for rule in [*rules, "total"]
        ),
    ]


def kind_table(kinds: dict[str, Kind]) -> list[str]:
    """A row per kind of job."""
    return [
        "| job | jobs | memory asked for, MiB | used, MiB | time asked for, min | used, s |",
        "|---|--:|--:|--:|--:|--:|",
        *(
            f"| {name} | {each.jobs} | {each.asked_mb} | {each.used_mb} | {each.asked_min} | {each.used_s} |"
            for name, each in kinds.items()
        ),
    ]


def table(found: Found, counts: dict[str, dict[str, int]], kinds: dict[str, Kind]) -> str:
    """The page of the documentation."""
    made = versions("snakemake", "snakemake-executor-plugin-slurm")
    rows = [f"| `{key}` | {found.get(key, '')} | {meaning} |" for key, meaning in MEANING.items() if key in found]
    where = f"{this_processor()}, Python {platform.python_version()}"
    what = ", ".join(f"{name} {version}" for name, version in made.items())
    load = f"Load average of its last 15 minutes: {os.getloadavg()[2]:.1f} (the run alone makes about {CORES} to 12)."
    return "\n".join(
        [
            "# Snakemake's share of the time",
            "",
            "Written by `make bench-workflow`; see `benchmarks/workflow.py` for how it is measured.",
            "",
            f"Commit {git_commit()}, {datetime.now(UTC):%Y-%m-%d}; {what}; {where}. {load}",
            "",
            "| key | value | what |",
            "|---|---|---|",
            *rows,
            "",
            "## Jobs by rule",
            "",
            *job_table(counts),
            "",
            "## What the jobs of the default experiment asked Slurm for, and used",
            "",
            "The highest of all jobs of a kind, Snakemake's own processes in the job included (`sacct`).",
            "",
            *kind_table(kinds),
            "",
        ]
    )


def main() -> None:
    """Measure, write the table, end with one line of JSON."""
    with tempfile.TemporaryDirectory(prefix="depthdial-bench-") as folder:
        fresh = checkout(Path(folder) / "fresh")
        counts = {
            name: jobs_of(fresh, "--configfile", f"config/{name}.yaml")
            for name in EXPERIMENTS
            if (fresh / f"config/{name}.yaml").exists()
        }
        found, kinds = bench(Path(folder), counts)
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text(table(found, counts, kinds))
    sys.stdout.write(f"{TABLE.read_text()}\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
