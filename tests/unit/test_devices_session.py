"""The far side on this machine, and far sides that say anything."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest

from depthdial.config.devices import Device
from depthdial.deploy.tools import TOOLS
from depthdial.devices import connection
from depthdial.devices.connection import (
    Channel,
    ConnectionLostError,
    LocalRunner,
    SshRunner,
    bootstrap,
    destination,
    hops,
    plain,
)
from depthdial.devices.provision import _must, _send, check_machine, try_tools
from depthdial.devices.session import LARGEST, Session, parse_samples
from depthdial.errors import DeviceError


class Script(LocalRunner):
    """A far side that is a line of shell."""

    def __init__(self, text: str) -> None:
        self.text = text

    def command(self) -> list[str]:
        return ["/bin/sh", "-c", self.text]


def local(tmp_path: Path) -> Device:
    return Device(name="d", target="host", directory=str(tmp_path / "work"))


def saying(tmp_path: Path, *answers: str) -> Session:
    """A session with a device that lets itself be entered and then says ``answers``, whatever it is asked."""
    said = tmp_path / "said"
    said.write_text("".join(f"{answer}\n" for answer in ("entered 0 /work", *answers)), newline="")
    return Session(local(tmp_path), Script(f"cat {shlex.quote(str(said))}; cat >/dev/null"))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("done 0 now later 1 1 1", "printf left no result there"),
        ("done 0 1.0 2.0 1 1 -5", "printf left no result there"),
        ("done 0 1.0 2.0 1 1 ²", "printf left no result there"),
        ("done 0 nan inf 1 1 1", "printf left no result there"),
        ("done 0 1.0 2.0   ", "printf left no result there"),
        (f"done 0 1.0 2.0 0 {LARGEST + 1} 0", f"printf is said to have left {LARGEST + 1} bytes there"),
        (f"done 0 1.0 2.0 0 {'9' * 5000} 0", "printf left no result there"),
        ("done ² 1.0 2.0 0 0 0", "expected 'done', got 'done ²"),
        ("done -1 1.0 2.0 0 0 0", "expected 'done', got"),
        ("", "expected 'done', got ''"),
        ("\x1b[2Jdone 0", r"expected 'done', got '\[2Jdone 0'"),
        pytest.param("x" * 200_000, "said a line without end: 'xxx", marks=pytest.mark.slow),
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error_in_words(tmp_path: Path, answer: str, why: str) -> None:
    with saying(tmp_path, answer) as session, pytest.raises(DeviceError, match=f"device d: {why}") as caught:
        session.run(["printf", "x"])
    assert str(caught.value).isprintable()


def test_what_a_device_says_shows_as_it_is(tmp_path: Path) -> None:
    assert plain("a\tb\n\x1b[31mred\x07\r\0\x9b \u202egnp.exe µ".encode()) == "a\tb\n[31mred gnp.exe µ"
    with Session(local(tmp_path)) as session:
        done = session.run(["sh", "-c", r"printf 'one\033[2J\rtwo\n'; printf 'bad\007\n' >&2"])
        assert (done.output, done.errors) == ("one[2Jtwo\n", "bad\n")


def test_the_holder_of_a_lock_cannot_write_over_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    hostile = ("busy 0 \x1b[1Ame\r", "locked 1 \x1b]0;title\x07no")
    with saying(tmp_path, *hostile) as session, pytest.raises(DeviceError, match=r"cannot be locked \(\]0;titleno\)"):
        session.lock("a test")
    assert "held by [1Ame; waiting" in caplog.text


def test_samples_that_are_no_samples_are_left_out() -> None:
    text = "1.5\t-\na\t1\t2\n2.00\t12\t\t3\nnan\t1\t2\n3.0\t²\t1\n4.0\n5.0\t7\t\n6" + "0" * 400 + "\t1\t2\noverdue\n"
    assert [(sample.uptime_s, sample.peak_kb, sample.values) for sample in parse_samples(text)] == [
        (1.5, None, ()),
        (2.0, 12, ("", "3")),
        (5.0, 7, ("",)),
    ]


def test_a_result_that_cannot_be_written_is_told_and_the_far_side_lives_on(tmp_path: Path) -> None:
    with Session(local(tmp_path)) as session:
        (scratch,) = (tmp_path / "work").glob("session.*")
        shutil.rmtree(scratch)
        with pytest.raises(DeviceError, match=r"true left no result there; is the disk of .*/work full\?"):
            session.run(["true"])
        scratch.mkdir()
        assert session.run(["true"]).status == 0


def test_what_a_killed_session_of_the_same_number_left_is_no_hindrance(tmp_path: Path) -> None:
    left = shlex.quote(str(tmp_path / "work")) + "/session.$$"
    runner = Script(f"umask 077; mkdir -p {left}/folder; : >{left}/out; {bootstrap()}")
    with Session(local(tmp_path), runner) as session:
        assert list((tmp_path / "work").glob("session.*/*")) == []
        assert session.run(["true"]).status == 0


def test_what_cannot_be_put_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    with Session(local(tmp_path)) as session:
        with pytest.raises(DeviceError, match=r"device d: file arrived damaged; .* free"):
            _send(session, "bundle-x", {"file": tmp_path / "file"}, {"file": "0" * 64})
        with pytest.raises(DeviceError, match=r"device d: ls failed there: .*nowhere"):
            _must(session, "ls", str(tmp_path / "nowhere"))


def test_tools_that_may_not_be_executed_are_told(tmp_path: Path) -> None:
    for name in TOOLS:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o644)
    told = r"iree-\S+ may not be executed there; is its file system mounted noexec"
    with Session(local(tmp_path)) as session, pytest.raises(DeviceError, match=told):
        try_tools(session, str(tmp_path))


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_in_which_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    work = tmp_path / "work"
    work.mkdir()
    work.chmod(mode)
    with pytest.raises(DeviceError, match=r"device d: the folder .*/work there belongs to somebody else, or others"):
        Session(local(tmp_path))
    assert list(work.iterdir()) == []
    work.chmod(0o755)
    with Session(local(tmp_path)) as session:
        assert session.root == str(work)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    if os.getuid() == 0:
        (tmp_path / "work").mkdir()
        os.chown(tmp_path / "work", 12345, -1)
        device = local(tmp_path)
    else:
        device = local(tmp_path).model_copy(update={"directory": "/usr"})
    with pytest.raises(DeviceError, match=r"there belongs to somebody else"):
        Session(device)


def test_a_far_side_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "TAKE_S", 0.3)
    channel = Channel("d", Script("exec sleep 60"))
    try:
        with pytest.raises(ConnectionLostError, match="device d: no answer in time; is it hung"):
            channel.send(bytes(1_000_000))
    finally:
        channel.close(0)


@pytest.mark.parametrize(
    ("jump", "parts"),
    [
        ("gate", [["gate"]]),
        ("me@gate:2222", [["gate", "-l", "me", "-p", "2222"]]),
        ("[2001:db8::1]:2222", [["2001:db8::1", "-p", "2222"]]),
        ("me@[2001:db8::1]", [["2001:db8::1", "-l", "me"]]),
        ("[127.0.0.1]", [["127.0.0.1"]]),
        ("ssh://me@first:1,a@b@second", [["first", "-l", "me", "-p", "1"], ["second", "-l", "a@b"]]),
        ("none", []),
    ],
)
def test_jump_hosts_are_taken_apart_as_the_client_does(jump: str, parts: list[list[str]]) -> None:
    assert [destination(hop) for hop in hops({"proxyjump": jump})] == parts


def test_a_client_that_is_not_there_or_cannot_read_its_configuration_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("Nonsense yes\n")
    runner = SshRunner(Device(name="d", target="host", host="board", ssh_config=str(tmp_path / "config")))
    if shutil.which("ssh"):
        with pytest.raises(DeviceError, match=r"device d: ssh cannot read its configuration: .*[Bb]ad configuration"):
            runner.check_jumps()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="device d: there is no OpenSSH client here; install openssh-client"):
        runner.check_jumps()


def test_hostile_output_is_shown_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, trap = tmp_path / "bin", tmp_path / "trap"
    programs.mkdir()
    uname = programs / "uname"
    uname.write_text(f"#!/bin/sh\nprintf '%s\\033[2J' 'x86;touch {trap} $(touch {trap})'\n")
    uname.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with Session(local(tmp_path)) as session:
        with pytest.raises(DeviceError, match=r"its architecture is x86;touch .* \$\(touch .*\)\[2J, but") as caught:
            check_machine(session, "x86_64-unknown-linux-gnu")
        assert str(caught.value).isprintable()
        with pytest.raises(DeviceError, match=r"/none/iree-\S+ does not run there \(status 127: .*not found\)"):
            try_tools(session, "/none")
    assert not trap.exists()
