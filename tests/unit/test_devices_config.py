"""The devices file: what it refuses, all at once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import AutoMeter, CommandMeter, Device, load_devices
from depthdial.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "config" / "devices.yaml"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    return path


def test_the_shipped_file_says_what_the_defaults_are() -> None:
    device = load_devices(SHIPPED)["local"]
    assert device == Device(
        name="local", title="this machine", target="host", meter=AutoMeter(kind="auto", nominal_w=15)
    )


def test_the_commented_examples_of_the_shipped_file_are_valid(tmp_path: Path) -> None:
    text = SHIPPED.read_text()
    example = text.partition("# Other meters")[0]
    board = [line[1:] for line in example.splitlines() if line.startswith("#  ")]
    assert load_devices(write(tmp_path, "devices:\n" + "\n".join(board)))["pi4"].meter.kind == "hwmon"
    meters = [line[1:].strip() for line in text.splitlines() if line.startswith("#    meter: {")]
    for meter in meters:
        path = write(tmp_path, f"devices:\n  - name: a\n    target: host\n    {meter}\n")
        assert load_devices(path)["a"].meter.kind in meter


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
devices:
  - name: Bad Name
    target: host
    host: "-oProxyCommand=touch /tmp/x"
    directory: ../../etc
    threads: 4
  - name: b
    target: host
    password: secret
    meter: {kind: command, command: ["a\\nb"]}
    runtime: tools
    launcher: nice -n 5
""",
    )
    with pytest.raises(ConfigError) as caught:
        load_devices(path)
    text = str(caught.value)
    for key in ("name", "host", "directory"):
        assert f"devices[0].{key}: string should match pattern" in text
    assert "devices[1].password: unknown key" in text
    for key in ("meter", "runtime", "launcher"):
        assert f"devices[1].{key}" in text


@pytest.mark.parametrize(
    "directory", ["", "..", "a/../b", "/", "~/x", "a b", "$HOME", "-rf", "a/-rf", "a\n", "`id`", "a;b", "a//b", "a/"]
)
def test_directories_that_lead_elsewhere_are_refused(directory: str) -> None:
    with pytest.raises(ValidationError, match="directory"):
        Device(name="a", target="host", directory=directory)


@pytest.mark.parametrize("directory", [".cache/depthdial", "/var/tmp/dd", "work", "a/.b/c-d_e.f"])
def test_plain_directories_are_accepted(directory: str) -> None:
    assert Device(name="a", target="host", directory=directory).directory == directory


HOSTILE = [
    "; touch trap",
    "$(touch trap)",
    "`touch trap`",
    "a\ntouch trap",
    "a|b",
    "-oProxyCommand=x",
    "a b",
    "../b",
    "%h",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("key", ["name", "host", "target", "directory", "runtime", "sysfs"])
def test_hostile_names_are_refused(key: str, text: str) -> None:
    with pytest.raises(ValidationError, match=key):
        Device.model_validate({"name": "a", "target": "host", key: text})


@pytest.mark.parametrize("text", [text for text in HOSTILE if text != "../b"])
def test_a_client_configuration_whose_path_a_shell_would_read_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="ssh_config"):
        Device(name="a", target="host", host="board", ssh_config=text)


def test_a_word_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValidationError, match="launcher"):
        Device(name="a", target="host", launcher=("nice", "a\ntouch trap"))
    with pytest.raises(ValidationError, match="command"):
        CommandMeter(kind="command", command=("a\ntouch trap",))


@given(st.text(max_size=30))
def test_no_accepted_host_or_directory_means_anything_to_a_shell(text: str) -> None:
    harmless = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@:-/")
    for key in ("host", "directory"):
        try:
            Device(name="a", target="host", **{key: text})
        except ValidationError:
            continue
        assert set(text) <= harmless
        assert not text.startswith("-")


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="threads: 2 threads need as many cores"):
        Device(name="a", target="host", threads=2)
    with pytest.raises(ValidationError, match="cores: each core once"):
        Device(name="a", target="host", cores=(1, 1))
    with pytest.raises(ValidationError, match="ssh_config: a local device is not reached over SSH"):
        Device(name="a", target="host", ssh_config="x")
    with pytest.raises(ValidationError, match="devices: each device once"):
        Benchmark(devices=("a", "a"))
    twice = write(tmp_path, "devices: [{name: a, target: host}, {name: a, target: host}]")
    with pytest.raises(ConfigError, match="devices: a given more than once"):
        load_devices(twice)


def test_unknown_devices_and_targets_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "devices: [{name: a, target: host}, {name: b, target: arm}]")
    with pytest.raises(ConfigError) as caught:
        load_devices(path, ("a", "b", "c"), ("host",))
    assert "there is no device 'c'; there are a, b" in str(caught.value)
    assert "device b: target 'arm' is not among those that the experiment compiles for (host)" in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [("a: [", "line 1: not valid YAML"), ("x", "expected keys and values")])
def test_what_is_no_devices_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_devices(write(tmp_path, text))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_devices(tmp_path / "absent.yaml")


def test_workers_run_as_a_batch_process_unless_the_launcher_says_otherwise() -> None:
    one = Device(name="a", target="host", cores=(2, 3))
    assert one.launch == ["taskset", "-c", "2"]
    two = one.model_copy(update={"threads": 2, "launcher": ("chrt", "-f", "50")})
    assert two.launch == ["taskset", "-c", "2,3", "chrt", "-b", "0", "chrt", "-f", "50"]
