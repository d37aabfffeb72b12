"""The recipe for a Slurm of one's own does what it says, and never harms another one."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil
import pytest

from tests.system import slurm_cluster
from tests.system.slurm_cluster import Cluster, ClusterError, run, wait_until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def states() -> dict[str, str]:
    """The state of every job that Slurm still knows."""
    rows = run("squeue", "--noheader", "--states=all", "--format=%i %T").split("\n")
    return dict(row.split() for row in rows if row)


def names(processes: list[psutil.Process]) -> set[str]:
    """What the processes that still live are called."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found.add(process.name())
    return found


def submit(folder: Path, command: str, *options: str) -> str:
    return run("sbatch", "--parsable", f"--output={folder}/%j.out", *options, f"--wrap={command}").strip()


def test_jobs_run_on_all_nodes_and_a_gpu_is_counted(slurm: Cluster, tmp_path: Path) -> None:
    jobs = [submit(tmp_path, "echo $SLURMD_NODENAME", f"--nodelist={node}") for node in slurm.nodes]
    jobs.append(submit(tmp_path, "echo $SLURMD_NODENAME", "--gpus=1"))
    wait_until("the jobs end", lambda: {states()[job] for job in jobs} == {"COMPLETED"})
    assert [(tmp_path / f"{job}.out").read_text().strip() for job in jobs] == [*slurm.nodes, slurm.nodes[-1]]


def test_too_much_memory_ends_a_job(slurm: Cluster, tmp_path: Path) -> None:
    hungry = "python3 -c 'import time; x = bytearray(300 << 20); time.sleep(30)'"
    job = submit(tmp_path, hungry, "--mem=50")
    wait_until("the job is killed", lambda: states()[job] == "FAILED")
    assert "memory limit" in (tmp_path / f"{job}.out").read_text()


def test_a_dead_node_is_noticed_and_comes_back(slurm: Cluster, tmp_path: Path) -> None:
    node = slurm.nodes[0]
    job = submit(tmp_path, "sleep 600", f"--nodelist={node}", "--no-requeue")
    wait_until("the job runs", lambda: "sleep" in names(slurm.processes(node)))
    slurm.kill_node(node)
    assert not slurm.processes(node)
    wait_until("Slurm notices", lambda: slurm.node_state(node) == "down" and states()[job] == "NODE_FAIL")
    slurm.start_node(node)


def test_a_running_cluster_is_not_started_over(slurm: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"a cluster of this script.*`stop` first"):
        slurm_cluster.start()


def test_a_foreign_configuration_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = tmp_path / "slurm.conf"
    foreign.write_text("ClusterName=production\n")
    for name in ("CONFIGURATION", "GRES", "DATABASE"):
        monkeypatch.setattr(slurm_cluster, name, foreign)
    with pytest.raises(ClusterError, match="is not ours; another Slurm lives here"):
        slurm_cluster.start()
    assert slurm_cluster.current() is None
    assert foreign.read_text() == "ClusterName=production\n"
