"""Benchmarks over SSH with real OpenSSH servers: what works, what is refused, what breaks on the way."""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from depthdial.cli import app
from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import CommandMeter, Device
from depthdial.config.targets import Target
from depthdial.deploy.manifest import read_manifest, write_manifest
from depthdial.deploy.tuned import Tuning
from depthdial.devices.benchmark import benchmark_device
from depthdial.devices.check import check_device
from depthdial.devices.meters import open_meter
from depthdial.devices.provision import VerifiedBundle, provide_bundle, remove, stored
from depthdial.devices.records import read_records
from depthdial.devices.session import Session
from depthdial.devices.tune import tune_on_device
from depthdial.errors import DeviceError
from depthdial.files import sha256_file
from depthdial.networks.families.he_shapes import Architecture
from tests.rigs.bundles import make_bundle
from tests.rigs.ssh import SshDevice, wait_for
from tests.unit.deploy_case import graph_of

pytestmark = [pytest.mark.slow, pytest.mark.ssh]
CACHE = Path(__file__).parents[2] / ".cache" / "depthdial"
QUICK = Benchmark(rounds=3, extra_rounds=0, window_ms=30, warm_up_ms=5, least_inferences=20, resamples=100)


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [
        make_bundle(folder / "dial", masks=("111", "110", "100")),
        make_bundle(folder / "static", network="resnet8", masks=("1",)),
    ]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SshDevice]:
    device = SshDevice(tmp_path / "board", "board")
    yield device
    device.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[SshDevice]:
    device = SshDevice(tmp_path / "other", "other")
    yield device
    device.close()


def bench(device: Device, bundles: list[Path], out: Path, settings: Benchmark = QUICK) -> pd.DataFrame:
    benchmark_device(device, bundles, settings, CACHE, out / "records.jsonl", out / "latency.parquet")
    return pd.read_parquet(out / "latency.parquet")


def busybox(folder: Path) -> str:
    """A folder with the programs of a device that has BusyBox alone."""
    program = shutil.which("busybox")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs busybox; tests/system/install.sh installs it")
    folder.mkdir()
    for name in subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (folder / name).symlink_to(program)
    if not (folder / "flock").exists():  # Debian builds BusyBox without it
        (folder / "flock").symlink_to(shutil.which("flock") or "")
    return str(folder)


def written(out: Path) -> list[str]:
    return sorted(path.name for path in out.glob("*"))


def test_two_devices_are_measured_at_once_and_what_they_have_is_used_again(
    board: SshDevice, other: SshDevice, bundles: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rigs = (board, other)
    with ThreadPoolExecutor(2) as pool:
        threads = {board: {}, other: {"cores": (0, 1), "threads": 2} if (os.cpu_count() or 1) > 1 else {}}
        runs = [pool.submit(bench, rig.device(**threads[rig]), bundles, tmp_path / f"out-{rig.name}") for rig in rigs]
        for run in runs:
            run.result()
    spans = []
    for rig in rigs:
        table = pd.read_parquet(tmp_path / f"out-{rig.name}" / "latency.parquet")
        assert list(table["network"] + " " + table["configuration"]) == [
            "dial c00",
            "dial c01",
            "dial c02",
            "resnet8 c00",
        ]
        assert table.loc[0, "latency_ms"] > table.loc[2, "latency_ms"]
        records = read_records(tmp_path / f"out-{rig.name}" / "records.jsonl")
        assert len(records) == 3 * 5
        assert {record.device for record in records} == {rig.name}
        assert records[0].fingerprint["kernel"].startswith("Linux")
        spans.append((records[0].started, records[-1].started))
    assert spans[0][0] < spans[1][1]
    assert spans[1][0] < spans[0][1]
    assert caplog.text.count("sending runtime") == 2
    caplog.clear()
    bench(board.device(), bundles, tmp_path / "again")
    assert "sending" not in caplog.text
    with Session(board.device()) as session:
        assert len(stored(session)) == 3
        remove(session)
        assert stored(session) == []


def test_what_was_changed_on_the_device_is_put_right(board: SshDevice, bundles: list[Path], tmp_path: Path) -> None:
    with Session(board.device()) as session:
        session.lock("a test")
        folder = Path(provide_bundle(session, VerifiedBundle.read(bundles[0])))
        (folder / "weights.irpa").write_bytes(b"something else")
        assert provide_bundle(session, VerifiedBundle.read(bundles[0])) == str(folder)
        assert (folder / "weights.irpa").read_bytes() == (bundles[0] / "weights.irpa").read_bytes()


def test_a_changed_host_key_is_refused(board: SshDevice, bundles: list[Path], tmp_path: Path) -> None:
    board.change_key()
    with pytest.raises(DeviceError, match=r"device board: the host key of board is not the one you know"):
        bench(board.device(), bundles, tmp_path / "out")
    assert written(tmp_path / "out") == []
    board.trust()
    bench(board.device(), bundles[1:], tmp_path / "out")


def test_an_unknown_host_key_is_refused_whatever_the_users_configuration_says(board: SshDevice) -> None:
    (board.folder / "known_hosts").write_text("")
    board.write_client("StrictHostKeyChecking no")
    with pytest.raises(DeviceError, match="the host key of board is not known; connect once by hand"):
        Session(board.device())
    assert (board.folder / "known_hosts").read_text() == ""


def test_a_connection_that_was_opened_without_a_look_at_the_host_key_is_not_joined(board: SshDevice) -> None:
    (board.folder / "known_hosts").write_text("")
    with TemporaryDirectory() as folder:  # the path of a socket must be short
        board.write_client("ControlMaster auto", f"ControlPath {folder}/master")
        client = ["ssh", "-F", str(board.folder / "ssh_config"), "-o", "BatchMode=yes"]
        careless = [*client, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-N", "board"]
        master = subprocess.Popen(careless, stderr=subprocess.DEVNULL)
        try:
            wait_for((Path(folder) / "master").exists)
            subprocess.run([*client, "-o", "StrictHostKeyChecking=yes", "board", "true"], check=True)  # joins it
            with pytest.raises(DeviceError, match="the host key of board is not known; connect once by hand"):
                Session(board.device())
        finally:
            master.terminate()
            master.wait()


@pytest.mark.parametrize(
    ("host", "jump", "section"),
    [
        ("board", "gate", "gate"),
        ("board", "me@gate:2222", "gate"),
        ("board", "first,127.0.0.1", "127.0.0.1"),
        ("board", "[2001:db8::7]:2222", "2001:db8::7"),
        ("2001:db8::1", "gate", "gate"),
        ("me@2001:db8::1", "[::1]", "::1"),
    ],
)
def test_a_jump_host_whose_key_would_be_accepted_unseen_is_refused(
    board: SshDevice, host: str, jump: str, section: str
) -> None:
    jumps = [f"Host board 2001:db8::1\nProxyJump {jump}", f"Host {section}", "StrictHostKeyChecking accept-new"]
    board.write_client(*jumps)
    with pytest.raises(DeviceError, match=rf"its jump host \S*{section}\S* has StrictHostKeyChecking accept-new"):
        Session(board.device(host=host))


def test_a_jump_host_that_cannot_be_looked_up_is_refused(board: SshDevice) -> None:
    board.write_client("ProxyJump gate-%h", "Host gate-*", "StrictHostKeyChecking no")
    with pytest.raises(DeviceError, match="its jump host gate-%h is named by a token"):
        Session(board.device())


def test_a_device_behind_a_jump_host_is_reached(board: SshDevice, other: SshDevice) -> None:
    gate = (other.folder / "ssh_config").read_text()
    board.write_client("ProxyJump other", gate)
    with Session(board.device()) as session:
        assert session.root == str(board.work)
    assert other.proxy.passed > 0


def test_a_key_that_is_not_accepted_and_a_server_that_is_not_there_are_told(board: SshDevice) -> None:
    (board.folder / "authorized_keys").write_text("")
    with pytest.raises(DeviceError, match="board does not accept your key"):
        Session(board.device())
    board.close()
    with pytest.raises(
        DeviceError, match=r"device board: (board refuses connections|the connection to board was lost)"
    ):
        Session(board.device())


def test_a_device_of_another_architecture_is_refused(board: SshDevice, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "arm", masks=("1",), machine="aarch64", target="arm")
    with pytest.raises(DeviceError, match="its architecture is x86_64, but target arm is compiled for aarch64-unknown"):
        bench(board.device(target="arm"), [bundle], tmp_path / "out")
    assert written(tmp_path / "out") == []


def test_a_bundle_for_another_target_is_refused(board: SshDevice, bundles: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"device board runs target arm, but .* is compiled for another"):
        bench(board.device(target="arm"), bundles, tmp_path / "out")


def test_a_connection_cut_during_a_transfer(board: SshDevice, bundles: list[Path], tmp_path: Path) -> None:
    board.proxy.cut_after = 1_500_000
    with pytest.raises(DeviceError, match="device board: the connection to board was lost"):
        bench(board.device(), bundles, tmp_path / "out")
    assert written(tmp_path / "out") == []
    assert not list(board.work.glob("runtime-*"))
    board.proxy.cut_after = None
    bench(board.device(), bundles[1:], tmp_path / "out")
    assert written(tmp_path / "out") == ["latency.parquet", "records.jsonl"]
    assert not [path for path in board.work.iterdir() if path.name.startswith(("incoming.", "session."))]


def test_a_connection_cut_and_a_server_killed_during_a_measurement(
    board: SshDevice, other: SshDevice, bundles: list[Path], tmp_path: Path
) -> None:
    long = QUICK.model_copy(update={"rounds": 50})
    bench(board.device(), bundles[1:], tmp_path / "warm")
    pool = ThreadPoolExecutor(1)
    for breakage in (board.proxy.cut, board.kill):
        run = pool.submit(bench, board.device(), bundles, tmp_path / "out", long)
        wait_for(lambda: list(board.work.glob("session.*/samples")), 30)
        time.sleep(2)
        breakage()
        bench(other.device(), bundles[1:], tmp_path / "other")
        with pytest.raises(DeviceError, match="device board: the connection to board was lost"):
            run.result(60)
        assert written(tmp_path / "out") == []
    board.start()
    bench(board.device(), bundles, tmp_path / "out")
    assert written(tmp_path / "out") == ["latency.parquet", "records.jsonl"]


@pytest.mark.parametrize("programs", ["GNU", "BusyBox"])
@pytest.mark.parametrize("kind", ["full file system", "limit of the user"])
def test_a_full_disk_is_told_and_leaves_nothing_behind(
    bundles: list[Path], tmp_path: Path, kind: str, programs: str
) -> None:
    path = busybox(tmp_path / "bin") if programs == "BusyBox" else None
    limit = 1_000_000 if kind == "limit of the user" else None
    board = SshDevice(tmp_path / "board", "board", path, largest_file=limit)
    board.work.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(board.work)]
    if limit is None and subprocess.run(mount, capture_output=True, check=False).returncode:
        board.close()  # a namespace of the user's own is no way out: sshd cannot become its other users in it
        (pytest.fail if os.environ.get("CI") else pytest.skip)("needs the right to mount a file system")
    try:
        with pytest.raises(DeviceError, match=r"files could not be written to .*/work \(.*\); make room"):
            bench(board.device(), bundles, tmp_path / "out")
        assert written(tmp_path / "out") == []
        board.kill()
        board.largest_file = None
        board.start()
        if limit is None:
            wait_for(
                lambda: subprocess.run(["umount", str(board.work)], capture_output=True, check=False).returncode == 0
            )
        bench(board.device(), bundles[1:], tmp_path / "out")
        assert not list(board.work.glob("incoming.*"))
    finally:
        board.close()
        subprocess.run(["umount", "-l", str(board.work)], capture_output=True, check=False)


def hold(device: Device, ready: object, seconds: float) -> None:
    """Hold a device in another process, with a program running there."""
    with Session(device) as session:
        session.lock("another benchmark")
        ready.set()  # type: ignore[attr-defined]
        session.run(["sleep", str(seconds)])


def test_a_held_device_is_waited_for_and_given_up_with_the_name_of_the_holder(
    board: SshDevice, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=hold, args=(board.device(), ready, 12))
    holder.start()
    ready.wait(20)
    told = f"held by .* pid {holder.pid}, another benchmark, since .* for longer than"
    with pytest.raises(DeviceError, match=told), Session(board.device(lock_minutes=0.01)) as session:
        session.lock("a test")
    with Session(board.device()) as session:
        session.lock("a test")
        assert f"pid {holder.pid}, another benchmark" in caplog.text
        assert caplog.text.count("waiting") == 2
    holder.join()


def test_the_lock_of_a_killed_run_ends_with_what_it_started(board: SshDevice) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    holder = context.Process(target=hold, args=(board.device(), ready, 3))
    holder.start()
    ready.wait(20)
    time.sleep(0.5)
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join()
    began = time.monotonic()
    with Session(board.device()) as session:
        session.lock("a test")
        assert 1 < time.monotonic() - began < 15
        leftovers = [path.name for path in board.work.glob("session.*")]
    assert len(leftovers) <= 2


def fill_disk(board: SshDevice) -> None:
    board.kill()
    board.largest_file = 1_000_000
    board.start()


@pytest.mark.parametrize(
    ("ailment", "why"),
    [
        ("changed key", "the host key of board is not the one you know"),
        ("wrong architecture", "its architecture is x86_64, but target arm is compiled for aarch64"),
        ("full disk", "files could not be written to"),
        ("held", "held by .* pid .*, another benchmark, since .* for longer than lock_minutes"),
    ],
)
def test_what_ails_one_device_leaves_the_other_alone(
    board: SshDevice, other: SshDevice, bundles: list[Path], tmp_path: Path, ailment: str, why: str
) -> None:
    device, mine = board.device(lock_minutes=0.01), bundles[1:]
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        if ailment == "changed key":
            board.change_key()
        elif ailment == "wrong architecture":
            mine = [make_bundle(tmp_path / "arm", masks=("1",), machine="aarch64", target="arm")]
            device = board.device(target="arm")
        elif ailment == "full disk":
            fill_disk(board)
        else:
            stack.enter_context(Session(board.device())).lock("another benchmark")
        run = pool.submit(bench, other.device(), bundles[1:], tmp_path / "fine", QUICK.model_copy(update={"rounds": 5}))
        wait_for(lambda: list(other.work.glob("session.*")), 30)
        with pytest.raises(DeviceError, match=f"device board: .*{why}"):
            bench(device, mine, tmp_path / "out")
        assert not run.done()
        assert list(run.result()["network"]) == ["resnet8"]
    assert written(tmp_path / "out") == []
    assert written(tmp_path / "fine") == ["latency.parquet", "records.jsonl"]


def test_hostile_words_of_the_devices_file_are_read_by_no_shell(
    board: SshDevice, bundles: list[Path], tmp_path: Path
) -> None:
    trap, seen = tmp_path / "trap", tmp_path / "seen"
    hostile = [f"; touch {trap}", f"$(touch {trap})", f"`touch {trap}`", f"' && touch {trap} '", f"| tee {trap}", "*"]
    launcher = ("env", *(f"WORD{index}={word}" for index, word in enumerate(hostile)))
    bench(board.device(launcher=launcher), bundles[1:], tmp_path / "out")
    assert set(launcher) <= set(read_records(tmp_path / "out" / "records.jsonl")[0].command)
    script = tmp_path / "; touch trap"
    script.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{seen}\nwhile :; do echo 5; sleep 0.1; done\n")
    script.chmod(0o755)
    for runs_on in ("host", "device"):
        meter = CommandMeter(kind="command", command=(str(script), *hostile), runs_on=runs_on)
        with Session(board.device(meter=meter)) as session:
            open_meter(session).close()
        assert seen.read_text().splitlines() == hostile
        seen.unlink()
    assert not list(tmp_path.rglob("trap"))


def test_hostile_sensors_are_shown_and_never_run(board: SshDevice, tmp_path: Path) -> None:
    trap, chip = tmp_path / "trap", tmp_path / "sys" / "class" / "hwmon" / "hwmon0"
    chip.mkdir(parents=True)
    hostile = f"\x1b[2J$(touch {trap})`touch {trap}`; touch {trap}"
    for name in ("name", "in1_label", "in1_input", "curr1_input"):
        (chip / name).write_text(hostile + "\n")
    for meter, why in (
        ({"chip": "ina226"}, rf"there: \[2J\$\(touch {trap}\)"),
        ({"chip": hostile[1:], "channel": "VDD"}, "has no readable channel 'VDD'; there: .*in1_label"),
    ):
        device = board.device(meter={"kind": "hwmon", **meter}, sysfs=str(tmp_path / "sys"))
        with Session(device) as session, pytest.raises(DeviceError, match=why) as caught:
            open_meter(session)
        assert str(caught.value).isprintable()
    device = board.device(meter={"kind": "hwmon", "chip": hostile[1:]}, sysfs=str(tmp_path / "sys"))
    with Session(device) as session:
        meter = open_meter(session)
        session.watch(meter.files)
        done = session.run(["sleep", "0.3"], tick_ms=50)
        assert done.samples[0].values == (hostile[1:], hostile[1:])
        assert meter.power(done, [sample.values for sample in done.samples]).mean_w is None
    assert not trap.exists()


def test_nothing_hostile_is_read_by_a_shell(board: SshDevice, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    words = [
        f"$(touch {trap})",
        f"`touch {trap}`",
        f"; touch {trap};",
        "a b  c",
        "'",
        '"',
        "*",
        "-n",
        "\\",
        "$HOME",
        "~",
    ]
    with Session(board.device()) as session:
        for word in words:
            done = session.run(["printf", "%s", word])
            assert done.output == word
        with pytest.raises(DeviceError, match="has a line break and cannot be sent"):
            session.run(["printf", "a\nb"])
        hostile = tmp_path / "bundle"
        hostile.mkdir()
        (hostile / f"$(touch {trap.name})").write_text("x")
        from depthdial.devices.provision import provide

        for name in (f"$(touch {trap.name})", "../escape", "/etc/passwd", "-rf", "a\nb", ".."):
            with pytest.raises(DeviceError, match="is no safe name for a file there"):
                provide(session, "bundle", {name: next(hostile.iterdir())})
    assert not trap.exists()
    assert not (board.work.parent / "escape").exists()


def test_a_device_that_prints_at_login_is_told(board: SshDevice, tmp_path: Path) -> None:
    board.write_client()
    shell = board.folder / "chatty.sh"
    shell.write_text('#!/bin/sh\necho Welcome\neval "$SSH_ORIGINAL_COMMAND"\n')
    shell.chmod(0o755)
    with (board.folder / "sshd_config").open("a") as stream:
        stream.write(f"ForceCommand {shell}\n")
    board.kill()
    board.start()
    with pytest.raises(DeviceError, match="does a login script on the device print something"):
        Session(board.device())


def test_a_command_meter_on_the_device_and_energy_from_it(
    board: SshDevice, bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The network is so small that the benchmark tool takes half as long for itself.
    monkeypatch.setattr("depthdial.devices.energy.OVERHEAD_SHARE", 100.0)
    script = board.folder / "meter.sh"
    script.write_text("#!/bin/sh\nwhile :; do echo 2500; sleep 0.01; done\n")
    script.chmod(0o755)
    meter = CommandMeter(
        kind="command", command=(str(script),), runs_on="device", watts_per_unit=0.001, interval_ms=50, idle_s=0.3
    )
    settings = QUICK.model_copy(update={"window_ms": 1200, "energy_samples": 10})
    table = bench(board.device(meter=meter), bundles[1:], tmp_path / "out", settings)
    assert table.loc[0, "energy_source"] == "command"
    assert table.loc[0, "energy_mj"] > 2.4 * table.loc[0, "latency_ms"]
    record = read_records(tmp_path / "out" / "records.jsonl")[0]
    assert record.energy.energy_mj == pytest.approx(2.5 * np.mean(record.latencies_ms))
    assert record.energy.idle_before_w == record.energy.idle_after_w == pytest.approx(2.5)


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[SshDevice]:
    """A device whose programs are aarch64: it says so, and runs them in an emulator."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "uname").write_text(
        "#!/bin/sh\ncase $1 in -m) echo aarch64 ;; *) echo Linux 6.1 emulated aarch64 ;; esac\n"
    )
    (programs / "uname").chmod(0o755)
    device = SshDevice(tmp_path / "arm", "arm", path=f"{programs}:/usr/bin:/bin")
    yield device
    device.close()


@pytest.mark.aarch64
def test_an_emulated_aarch64_device_goes_the_same_way(
    arm: SshDevice, bundles: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bundle = make_bundle(tmp_path / "bundle", masks=("11", "10"), machine="aarch64", target="arm", per_block=2)
    device = arm.device(target="arm", launcher=EMULATOR)
    table = bench(device, [bundle], tmp_path / "out", QUICK.model_copy(update={"least_inferences": 10}))
    assert list(table["configuration"]) == ["c00", "c01"]
    record = read_records(tmp_path / "out" / "records.jsonl")[0]
    assert record.command[3 : 3 + len(EMULATOR)] == EMULATOR
    assert "aarch64" in record.fingerprint["kernel"]
    assert "sending runtime" in caplog.text
    with pytest.raises(DeviceError, match="architecture is aarch64, but target host is compiled for x86_64"):
        bench(arm.device(launcher=EMULATOR), bundles, tmp_path / "wrong")
    with pytest.raises(DeviceError, match=r"iree-benchmark-module does not run there \(status \d+"):
        bench(arm.device(target="arm"), [bundle], tmp_path / "bare")


def tuned(device: Device, target: Target, name: str, out: Path, rounds: int = 3) -> Tuning:
    arch = Architecture(8, 8, 3, 8, 5)
    settings = Benchmark(rounds=rounds).model_copy(update={"drift_limit": 1e9})  # other tests share this machine
    files = {"cache": out / "cache", "output": out / f"{name}.json", "log_path": out / f"{name}.log"}
    (out / "cache").mkdir(exist_ok=True)
    for wheel in CACHE.glob("iree-base-runtime-*"):
        if not (out / "cache" / wheel.name).exists():
            (out / "cache" / wheel.name).symlink_to(wheel)
    return tune_on_device(device, graph_of(arch), target, settings, name=name, **files)


def test_tuning_over_ssh_waits_for_the_lock_and_is_kept(board: SshDevice, tmp_path: Path) -> None:
    target = Target(triple="x86_64-unknown-linux-gnu", cpu="host")
    with Session(board.device()) as session:
        session.lock("a benchmark")
        with pytest.raises(DeviceError, match=r"held by .* a benchmark"):
            tuned(board.device(lock_minutes=0), target, "host", tmp_path)
    found = tuned(board.device(), target, "host", tmp_path)
    assert found.device == "board"
    assert set(found.counts) == set(found.found)
    assert len(found.found) == 7
    again = tuned(board.device(lock_minutes=0), target, "host", tmp_path)
    assert (again.kept, again.found) == (7, found.found)


@pytest.mark.aarch64
def test_tuning_on_an_emulated_aarch64_device(arm: SshDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the times: an emulator's say nothing of a board."""
    for module, name, value in (
        ("deploy", "TRIED", 2),
        ("devices", "REPETITIONS", 2),
    ):
        monkeypatch.setattr(f"depthdial.{module}.tune.{name}", value)
    target = Target(triple="aarch64-unknown-linux-gnu", cpu="cortex-a72")
    found = tuned(arm.device(target="arm", launcher=EMULATOR), target, "arm", tmp_path)
    assert len(found.found) == 7
    assert all(one.timings[0].median_us > 0 for one in found.found.values())


def test_a_device_with_busybox_alone_is_enough(bundles: list[Path], tmp_path: Path) -> None:
    board = SshDevice(tmp_path / "board", "board", busybox(tmp_path / "bin"))
    try:
        found = check_device(board.device(), Target(triple="x86_64-unknown-linux-gnu", cpu="x86-64"))
        assert [finding for finding in found if finding.level == "bad"] == []
        assert len(bench(board.device(), bundles[1:], tmp_path / "out")) == 1
        board.work.chmod(0o770)
        with pytest.raises(DeviceError, match="belongs to somebody else, or others may write"):
            Session(board.device())
    finally:
        board.close()


EMULATOR = ("qemu-aarch64-static", "-cpu", "cortex-a72", "-L", "/usr/aarch64-linux-gnu")


def test_a_configuration_that_computes_something_else_there_is_not_measured(board: SshDevice, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", masks=("1",))
    expected = bundle / "gate" / "c00.0.npy"
    wrong = np.load(expected)
    wrong[0, 3] += 0.5
    np.save(expected, wrong)
    manifest = read_manifest(bundle, verify=False)
    files = {**manifest.files, "gate/c00.0.npy": sha256_file(expected)}
    write_manifest(bundle, manifest.model_copy(update={"files": files}))
    with pytest.raises(DeviceError, match="dial c00 does not compute there what PyTorch computes on fixed input 0"):
        bench(board.device(), [bundle], tmp_path / "out")
    assert written(tmp_path / "out") == []


def test_check_tells_what_works_and_what_to_mend(board: SshDevice, tmp_path: Path) -> None:
    target = Target(triple="x86_64-unknown-linux-gnu", cpu="x86-64")
    arm_target = Target(triple="aarch64-unknown-linux-gnu", cpu="cortex-a72")
    found = {finding.topic: finding for finding in check_device(board.device(), target)}
    assert found["reachable"].text == f"over SSH as board, host key known; works in {board.work}"
    for topic in ("programs", "architecture", "runtime", "disk", "cores", "clock", "lock"):
        assert found[topic].level == "good", found[topic]
    assert "modelled" in found["meter"].text
    broken = board.device(
        cores=(4000,),
        launcher=("no-such-program",),
        meter={"kind": "hwmon", "chip": "ina226"},
        runtime="/nowhere",
    )
    found = {finding.topic: finding for finding in check_device(broken, arm_target)}
    assert "no-such-program missing there" in found["programs"].text
    assert "its architecture is x86_64" in found["architecture"].text
    assert "does not run there" in found["runtime"].text
    assert "cannot be pinned to 4000" in found["cores"].text
    assert "no sensor chip 'ina226'" in found["meter"].text
    assert {found[topic].level for topic in ("programs", "architecture", "runtime", "cores", "meter")} == {"bad"}
    with Session(board.device()) as session:
        session.lock("something else")
        found = {finding.topic: finding for finding in check_device(board.device(), target)}
    assert "something else" in found["lock"].text
    board.kill()
    (only,) = check_device(board.device(), target)
    assert (only.level, only.topic) == ("bad", "reachable")


def test_the_check_command_says_so_with_its_status(board: SshDevice, tmp_path: Path) -> None:
    file = tmp_path / "devices.yaml"
    entry = board.device().model_dump(mode="json")
    file.write_text(yaml.safe_dump({"devices": [entry, {**entry, "name": "broken", "cores": [4000]}]}))
    runner = CliRunner()
    good = runner.invoke(app, ["devices", "check", "board", "--file", str(file)])
    assert good.exit_code == 0, good.output
    assert "ok    reachable" in good.output
    bad = runner.invoke(app, ["devices", "check", "--file", str(file)])
    assert bad.exit_code == 1
    assert "MEND  cores" in bad.output
    clean = runner.invoke(app, ["devices", "clean", "board", "--file", str(file)])
    assert clean.exit_code == 0, clean.exception
    assert clean.output == "board: removed nothing; there was nothing\n"
