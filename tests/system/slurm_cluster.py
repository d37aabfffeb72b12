"""A real Slurm on one host, from Debian's packages: for the tests, and to play with.

    sudo .venv/bin/python tests/system/slurm_cluster.py start [--nodes 3] [--accounting]
    sudo .venv/bin/python tests/system/slurm_cluster.py status
    sudo .venv/bin/python tests/system/slurm_cluster.py stop

Packages: slurm-wlm munge; with ``--accounting`` slurmdbd mariadb-server too. Needs root, because Slurm's commands find
their configuration in ``/etc/slurm`` alone: ``SLURM_CONF`` does not help, the executor plugin drops all ``SLURM_*``
variables inside a job. Everything else (munge's key and socket, state, spools, logs, database) lies in one new folder
under ``/tmp``, all ports are free ones on the loopback address, and ``stop`` removes the lot. A configuration that this
script has not written is never touched. Nodes are ``slurmd -N`` daemons that believe in ``CPUS`` processors each, so
jobs of different nodes do run at the same time, on the host's real cores. The last node has a GPU, in name only, and is
the partition ``gpu``; ``main``, the default, and ``cpu`` hold all nodes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

Found = TypeVar("Found")

CONFIGURATION = Path("/etc/slurm/slurm.conf")
GRES = CONFIGURATION.with_name("gres.conf")
DATABASE = CONFIGURATION.with_name("slurmdbd.conf")
MARK = "# Written by depthdial's tests/system/slurm_cluster.py, whose `stop` removes it. Folder: "
CPUS = 4
MEMORY_MB = 32000
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "sinfo")
ACCOUNTING_PROGRAMS = ("slurmdbd", "mariadbd", "mariadb-install-db", "sacctmgr")


def _command(process: psutil.Process) -> str:
    """The command line of a process; empty if it has just ended."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


class ClusterError(Exception):
    """The cluster cannot be started or did not do what was asked; the text says what to do."""


@dataclass(frozen=True)
class Settings:
    """What differs between the clusters that the tests start."""

    nodes: int = 3
    accounting: bool = False
    node_timeout_s: int = 10
    """How long a node may be silent before Slurm gives it up (SlurmdTimeout; sites use minutes)."""
    min_job_age_s: int = 3600
    """How long squeue still shows a finished job (MinJobAge; sites have 300), so that tests can look back."""


@dataclass(frozen=True)
class Job:
    """A job as squeue knows it; times as Slurm writes them, so that they can be compared as text."""

    name: str
    comment: str
    state: str
    node: str
    start: str
    end: str


class Cluster:
    """A cluster that ``start`` has started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes."""
        return sorted(path.name for path in (self.folder / "spool").iterdir())

    def node_state(self, node: str) -> str:
        """Slurm's word for the state of a node, for example ``idle``, ``mixed`` or ``down``."""
        return run("sinfo", "--noheader", f"--nodes={node}", "--format=%T").strip().rstrip("*")

    def jobs(self, what: str = "") -> list[Job]:
        """All jobs that Slurm still knows whose comment, rule and wildcards as Snakemake says, holds ``what``."""
        rows = run("squeue", "--noheader", "--states=all", "--format=%i|%k|%T|%N|%S|%e").splitlines()
        return [job for job in (Job(*row.split("|")) for row in rows) if what in job.comment]

    def together(self, what: str) -> list[Job]:
        """Start nothing until two jobs that hold ``what`` wait in the queue; return them as they run at the same time.

        Slurm forgets when and where a job ran that it has started once more, so who asks later may not see it.
        """

        def in_state(state: str) -> list[Job]:
            return [job for job in self.jobs(what) if job.state == state]

        partitions = [line.split()[0] for line in run("scontrol", "--oneliner", "show", "partition").splitlines()]
        for partition in partitions:
            run("scontrol", "update", partition, "State=DOWN")
        try:
            wait_until(f"two jobs of {what} wait", lambda: len(in_state("PENDING")) > 1, 600)
        finally:
            for partition in partitions:
                run("scontrol", "update", partition, "State=UP")

        def at_once() -> list[Job]:
            jobs = in_state("RUNNING")
            return jobs if len(jobs) > 1 else []

        return wait_until(f"two jobs of {what} run at the same time", at_once)

    def running(self, what: str, timeout_s: float = 600) -> Job:
        """Wait until a job is doing its work on a node, and return it."""

        def found() -> list[Job]:
            jobs = [job for job in self.jobs(what) if job.state == "RUNNING"]
            return [job for job in jobs if any(".snakemake/scripts/" in _command(p) for p in self.processes(job.node))]

        return wait_until(f"a job of {what} runs", found, timeout_s)[0]

    def start_controller(self) -> None:
        """Start ``slurmctld``; returns when it answers."""
        self._spawn("slurmctld", "slurmctld", "-D")
        wait_until("slurmctld answers", lambda: succeeds("scontrol", "ping"))

    def stop_controller(self) -> None:
        """End ``slurmctld``: until it is started again, every command of Slurm fails."""
        self._end("slurmctld")

    def start_accounting(self) -> None:
        """Start ``slurmdbd`` on its database; returns when it answers."""
        self._spawn("slurmdbd", "slurmdbd", "-D", MYSQL_UNIX_PORT=str(self.folder / "mariadb.socket"))
        wait_until("slurmdbd answers", lambda: succeeds("sacctmgr", "--noheader", "list", "cluster"))

    def stop_accounting(self) -> None:
        """End ``slurmdbd``: until it is started again, sacct fails and the controller keeps what it would tell it."""
        self._end("slurmdbd")

    def start_node(self, node: str) -> None:
        """Start the daemon of a node (again); returns when jobs may be placed on it."""
        self._spawn(node, "slurmd", "-D", "-N", node)
        wait_until(f"{node} is idle", lambda: self.node_state(node) in {"idle", "mixed", "allocated"})

    def kill_daemon(self, node: str) -> None:
        """Kill a node's ``slurmd``; the jobs that it started live on, unseen by Slurm."""
        self._end(node, signal.SIGKILL)

    def kill_node(self, node: str) -> None:
        """Kill a node as a power cut does: its daemon and whatever runs on it."""
        self.kill_daemon(node)
        while processes := self.processes(node):  # what is just being started is there a moment later
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def processes(self, node: str) -> list[psutil.Process]:
        """The processes of all jobs on a node: Slurm's step daemons, known by their sockets, and what they started."""
        spool = str(self.folder / "spool" / node)
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.name() != "slurmstepd" or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if any(str(unix.laddr).startswith(spool) for unix in process.net_connections("unix")):
                    found += [process, *process.children(recursive=True)]
        return found

    def stop(self) -> None:
        """End every daemon and job; remove the configuration and the folder."""
        for node in self.nodes:
            self.kill_node(node)
        for name in ("slurmctld", "slurmdbd", "mariadbd", "munged"):
            self._end(name, signal.SIGKILL)
        for path in (CONFIGURATION, GRES, DATABASE):
            if _owner(path) == self.folder:
                path.unlink()
        shutil.rmtree(self.folder)

    def _spawn(self, name: str, *command: str, **environment: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **environment},
            )
        (self.folder / f"{name}.pid").write_text(str(process.pid))

    def _end(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """Send a daemon a signal and wait until it is gone."""
        pid = self.folder / f"{name}.pid"
        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
            process = psutil.Process(int(pid.read_text()))
            process.send_signal(how)
            wait_until(f"{name} ends", lambda: _gone(process))
        pid.unlink(missing_ok=True)


def _gone(process: psutil.Process) -> bool:
    """Whether a process has ended; in containers the first process often leaves zombies."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def start(settings: Settings = Settings()) -> Cluster:
    """Start a cluster. Raises ClusterError if something is missing, in the way, or does not come up."""
    _refuse(settings)
    folder = Path(tempfile.mkdtemp(prefix="depthdial-slurm-"))
    folder.chmod(0o755)
    cluster = Cluster(folder)
    nodes = [f"node{number}" for number in range(1, settings.nodes + 1)]
    for name in ("state", *(f"spool/{node}" for node in nodes)):
        (folder / name).mkdir(parents=True)
    with _stopped_on_error(cluster):
        CONFIGURATION.write_text(_slurm_conf(settings, folder))
        GRES.write_text(f"{MARK}{folder}\nNodeName={nodes[-1]} Name=gpu Type=a100 File=/dev/null\n")
        _start_munge(cluster)
        if settings.accounting:
            _start_accounting(cluster)
        cluster.start_controller()
        for node in nodes:
            cluster.start_node(node)
    return cluster


def current() -> Cluster | None:
    """The cluster that this script has started earlier, if any."""
    folder = _owner(CONFIGURATION)
    return Cluster(folder) if folder else None


def _owner(path: Path) -> Path | None:
    """The folder of the cluster whose configuration ``path`` is; None if it is not there or somebody else's."""
    first = path.read_text(errors="replace").partition("\n")[0] if path.exists() else ""
    return Path(first.removeprefix(MARK)) if first.startswith(MARK) else None


def _refuse(settings: Settings) -> None:
    """Raise ClusterError for all that stands in the way, at once."""
    wanted = PROGRAMS + (ACCOUNTING_PROGRAMS if settings.accounting else ())
    problems = []
    if missing := [name for name in wanted if not shutil.which(name)]:
        packages = "slurm-wlm munge" + (" slurmdbd mariadb-server" if settings.accounting else "")
        problems.append(f"not found: {', '.join(missing)}; apt-get install {packages}")
    if os.geteuid() != 0:
        problems.append(f"must be root to write {CONFIGURATION}; use sudo")
    for path in (CONFIGURATION, GRES, DATABASE):
        if folder := _owner(path):
            problems.append(f"{path}: a cluster of this script, folder {folder}; end it with `stop` first")
        elif path.exists():
            problems.append(f"{path}: exists and is not ours; another Slurm lives here, use a virtual machine")
    if problems:
        raise ClusterError("cannot start Slurm:\n  " + "\n  ".join(problems))


def _slurm_conf(settings: Settings, folder: Path) -> str:
    """Quick reactions; no cgroups, which containers seldom allow; memory limits enforced all the same."""
    host = socket.gethostname()
    controller, database, *ports = free_ports(2 + settings.nodes)
    lines = [
        f"{MARK}{folder}",
        "ClusterName=depthdial",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={controller}",
        "SlurmUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={folder}/munge.socket,cred_expire=15",
        "CredType=cred/munge",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool/%n",
        f"SlurmctldPidFile={folder}/slurmctld.own",
        f"SlurmdPidFile={folder}/%n.own",
        "ProctrackType=proctrack/pgid",
        "TaskPlugin=task/none",
        "MpiDefault=none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU_Memory",
        "JobAcctGatherType=jobacct_gather/linux",
        "JobAcctGatherFrequency=1",
        "JobAcctGatherParams=OverMemoryKill",
        "SchedulerParameters=batch_sched_delay=0,sched_interval=2",
        "SlurmdParameters=config_overrides",
        f"SlurmdTimeout={settings.node_timeout_s}",
        "ReturnToService=2",
        "KillWait=2",
        "OverTimeLimit=0",
        f"MinJobAge={settings.min_job_age_s}",
        "GresTypes=gpu",
    ]
    if settings.accounting:
        lines += [
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStoreFlags=job_comment",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={database}",
            f"AccountingStoragePass={folder}/munge.socket",  # so is the socket named here (slurm.conf(5))
        ]
    for number, port in enumerate(ports, start=1):
        gpu = " Gres=gpu:a100:1" if number == settings.nodes else ""
        address = f"NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
        lines.append(f"NodeName=node{number} {address} CPUs={CPUS} RealMemory={MEMORY_MB}{gpu}")
    lines.append("PartitionName=main Nodes=ALL Default=YES LLN=YES MaxTime=INFINITE")
    lines.append(f"PartitionName=cpu Nodes=ALL LLN=YES\nPartitionName=gpu Nodes=node{settings.nodes}")
    return "\n".join(lines) + "\n"


def _start_munge(cluster: Cluster) -> None:
    """Start an own munge daemon with a new key; Slurm is told its socket, so one of the host is left alone."""
    folder = cluster.folder
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    places = [
        f"--{what}={folder}/munge.{what.partition('-')[0]}" for what in ("key-file", "socket", "seed-file", "log-file")
    ]
    cluster._spawn("munged", "munged", "--foreground", "--force", *places, f"--pid-file={folder}/munge.own")
    wait_until("munged answers", lambda: succeeds("munge", "--no-input", f"--socket={folder}/munge.socket"))


def _start_accounting(cluster: Cluster) -> None:
    """Start a private MariaDB, reachable by its socket alone, and slurmdbd on it."""
    folder = cluster.folder
    port = next(line for line in CONFIGURATION.read_text().splitlines() if "AccountingStoragePort" in line)
    data, own = folder / "database", folder / "mariadb.socket"
    run("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db")
    quiet = (
        "--skip-networking",
        "--skip-grant-tables",
        "--innodb-buffer-pool-size=64M",
        "--innodb-lock-wait-timeout=900",
    )
    cluster._spawn(
        "mariadbd", "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={own}", *quiet
    )
    wait_until("mariadbd answers", lambda: succeeds("mariadb-admin", "--no-defaults", f"--socket={own}", "ping"))
    DATABASE.touch(mode=0o600)
    DATABASE.write_text(
        f"{MARK}{folder}\nDbdHost=localhost\nDbdPort={port.partition('=')[2]}\nSlurmUser=root\nAuthType=auth/munge\n"
        f"AuthInfo=socket={folder}/munge.socket\nStorageType=accounting_storage/mysql\nStorageHost=localhost\n"
        f"StorageUser=root\nStorageLoc=slurm\nPidFile={folder}/slurmdbd.own\n"
    )
    cluster.start_accounting()
    run("sacctmgr", "--immediate", "add", "cluster", "depthdial")


@contextlib.contextmanager
def _stopped_on_error(cluster: Cluster) -> Iterator[None]:
    """If the body fails: add the ends of the daemons' logs to the error, then clean up."""
    try:
        yield
    except BaseException as error:
        for log in sorted(cluster.folder.glob("*.log")):
            error.add_note(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-8:]))
        cluster.stop()
        raise


def run(*command: str) -> str:
    """Standard output of a command. Raises ClusterError with what it wrote if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise ClusterError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def succeeds(*command: str) -> bool:
    """Whether a command ends with 0 within ten seconds."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    return False


def wait_until(what: str, found: Callable[[], Found], timeout_s: float = 300, every_s: float = 0.2) -> Found:
    """Return what ``found()`` does once it is true. Raises ClusterError that names ``what`` after ``timeout_s`` s."""
    end = time.monotonic() + timeout_s
    while not (it := found()):
        if time.monotonic() > end:
            raise ClusterError(f"not so within {timeout_s:g} s: {what}")
        time.sleep(every_s)
    return it


def free_ports(number: int) -> list[int]:
    """Different TCP ports of the loopback address that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in sockets]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    starting = actions.add_parser("start", help="start the cluster")
    starting.add_argument("--nodes", type=int, default=3)
    starting.add_argument("--accounting", action="store_true", help="with slurmdbd and MariaDB, so that sacct works")
    actions.add_parser("status", help="what sinfo and squeue say")
    actions.add_parser("stop", help="end it and remove what it wrote")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.action == "start":
            cluster = start(Settings(nodes=chosen.nodes, accounting=chosen.accounting))
            sys.stdout.write(f"Slurm runs; logs in {cluster.folder}\n" + run("sinfo"))
        elif (running := current()) is None:
            raise ClusterError(f"{CONFIGURATION}: no cluster of this script; use `start`")
        elif chosen.action == "status":
            sys.stdout.write(run("sinfo", "--Node", "--long") + run("squeue"))
        else:
            running.stop()
    except ClusterError as error:
        sys.stderr.write(f"{error}\n" + "\n".join(getattr(error, "__notes__", [])))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
