"""Any network as a program: each kind of layer computes what PyTorch computes, and tiles fit the registers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from depthdial.config.targets import CPUS, Target, Tiles
from depthdial.deploy.archive import archive_index, write_archive
from depthdial.deploy.calls import NORMALISATION_SCOPE, WEIGHTS_SCOPE
from depthdial.deploy.compile import Compiler, target_flags
from depthdial.deploy.core import Processor
from depthdial.deploy.export import normalisation
from depthdial.deploy.graph.convolution import BLOCK, Convolution, balanced, shares
from depthdial.deploy.graph.images import Image, chunks
from depthdial.deploy.graph.layouts import stored, stored_norms
from depthdial.deploy.graph.nodes import Graph, Node, read_graph, write_graph
from depthdial.deploy.graph.text import Kernel
from depthdial.deploy.graph.tiling import cut, needed_registers, parts_of
from depthdial.deploy.graph.trace import trace
from depthdial.deploy.graph.write import program
from depthdial.deploy.processor import processor
from depthdial.errors import ArtefactError, DeployError
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from tests.unit.deploy_case import HOST, graph_of

NONE, FULL = ("none",), Mask("1")
"""The name of a unit that no network here has, and the mask that keeps it."""


def settle(net: nn.Module) -> nn.Module:
    """BatchNorm with statistics of its own, and no weights of zero."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator) * 0.2)
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
    for parameter in net.parameters():
        with torch.no_grad():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return net.eval()


def computed(net: nn.Module, x: Tensor, folder: Path, target: Target = HOST) -> np.ndarray:
    """What the compiled program makes of an image."""
    import iree.runtime as iree

    graph, weights = trace(net, x, NONE)
    write_archive(folder / "w.irpa", {key: stored(value.numpy(), graph.weights[key]) for key, value in weights.items()})
    own = normalisation(net, graph.normalised)
    write_archive(folder / "b.irpa", {"c00": stored_norms(own, graph)} if own else {})
    module = Compiler("test", folder / "log").module(graph, {"c00": FULL}, target)
    config = iree.Config("local-sync")
    scopes = ((folder / "w.irpa", WEIGHTS_SCOPE), (folder / "b.irpa", NORMALISATION_SCOPE))
    given = [archive_index(path).create_provider(scope) for path, scope in scopes]
    loaded = iree.load_vm_modules(
        iree.create_io_parameters_module(config.vm_instance, *given),
        iree.create_hal_module(config.vm_instance, config.device),
        iree.VmModule.copy_buffer(config.vm_instance, module),
        config=config,
    )
    return np.array(loaded[-1]["c00"](x.numpy()).to_host())


def same(net: nn.Module, shape: tuple[int, ...], folder: Path, target: Target = HOST) -> None:
    """Asserts that a network computes the same when it is compiled."""
    torch.manual_seed(1)
    net, x = settle(net), torch.randn(1, *shape)
    with torch.no_grad():
        expected = net(x).numpy()
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(
        computed(net, x, folder, target), expected, rtol=2e-4, atol=2e-5 * np.abs(expected).max()
    )


class Squeeze(nn.Module):
    """Channels weighted by what their means say."""

    def __init__(self, channels: int, gate: nn.Module) -> None:
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(channels, 5, 1), nn.Conv2d(5, channels, 1), gate

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.up(functional.relu(self.down(functional.adaptive_avg_pool2d(x, 1)))))


class Sum(nn.Module):
    """x and what a network makes of it."""

    def __init__(self, *inside: nn.Module) -> None:
        super().__init__()
        self.inside = nn.Sequential(*inside)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inside(x)


class Tokens(nn.Module):
    """A small vision transformer: a class token, positions, attention of two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 24, 4, 4)
        self.first, self.places = nn.Parameter(torch.zeros(1, 1, 24)), nn.Parameter(torch.zeros(1, 17, 24))
        self.norm, self.attention = nn.LayerNorm(24), nn.MultiheadAttention(24, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.LayerNorm(24), nn.Linear(24, 40), nn.GELU(approximate="tanh"), nn.Linear(40, 24))
        self.head = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1) + self.places
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.head((x + self.mlp(x))[:, 0])


class Channels(nn.Module):
    """Channels last and back, as ConvNeXt does; and channels that are split, rolled, padded and put together."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.norm = nn.Conv2d(6, 6, 7, padding=3, groups=6), nn.LayerNorm(6, eps=1e-6)
        self.up, self.down, self.scale = nn.Linear(6, 20), nn.Linear(20, 6), nn.Parameter(torch.full((6, 1, 1), 0.3))
        self.last = nn.Conv2d(9, 4, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (0, 0, 0, 0, 0, 3))
        y = self.down(functional.gelu(self.up(self.norm(self.wide(x).permute(0, 2, 3, 1)))))
        x = x + self.scale * y.permute(0, 3, 1, 2)
        one, other = x.chunk(2, 1)
        x = torch.cat([other, one], 1)
        x = torch.cat([x.roll((1, -2), (2, 3)), one], 1)
        return self.last(x).flatten(1) / 2 + 0.5


class Shortcuts(nn.Module):
    """Sums with pixels that are picked from what came before, as in He's shortcuts; picked pixels that others read."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 48, 3, 2, 1)
        self.alone, self.again = nn.Conv2d(48, 64, 3, padding=1), nn.Conv2d(48, 64, 3, 2, 1)
        self.twice, self.narrow = nn.Conv2d(48, 64, 1), nn.Conv2d(64, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = functional.relu(self.down(x) + functional.pad(x[:, :, 1::2, ::2], (0, 0, 0, 0, 0, 32)))
        alone = self.alone(x[:, :, ::2, 1::2][:, :, 1:, :4])
        twice = x[:, :, ::2, ::2]
        x = self.again(x) + functional.pad(twice, (0, 0, 0, 0, 0, 16)) + self.twice(twice)
        x = functional.relu(self.narrow(x))
        return torch.cat([x[:, :, ::2, ::2].flatten(1), alone.mean((2, 3))], 1)


KINDS = {
    "filters": lambda: nn.Sequential(
        nn.Conv2d(3, 19, 7, 2, 3, bias=False), nn.BatchNorm2d(19), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(19, 24, 3, padding=2, dilation=2), nn.Hardswish(),
        nn.Conv2d(24, 36, (1, 3), padding=(0, 1), groups=4), nn.ReLU6(),
        Sum(nn.BatchNorm2d(36), nn.SiLU(), nn.Conv2d(36, 36, 1)), nn.AvgPool2d(2, 1, 1), nn.Flatten(),
        nn.Linear(36 * 7 * 7, 10),
    ),
    "depthwise": lambda: nn.Sequential(
        nn.Conv2d(3, 40, 3, 2, 1), nn.Conv2d(40, 40, 5, 2, 2, groups=40, bias=False), nn.BatchNorm2d(40),
        nn.Hardswish(), Squeeze(40, nn.Hardsigmoid()), Sum(nn.Conv2d(40, 40, 3, padding=1, groups=40), nn.ReLU6()),
        Squeeze(40, nn.Sigmoid()), nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(40, 80, 3, 2, groups=40),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(80, 3),
    ),
    "tokens": Tokens,
    "channels": Channels,
    "shortcuts": Shortcuts,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_layer_computes_what_pytorch_computes(kind: str, tmp_path: Path) -> None:
    same(KINDS[kind](), (3, 24, 24) if kind != "tokens" else (3, 16, 16), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64-v2"])
def test_narrower_vectors_compute_the_same(cpu: str, tmp_path: Path) -> None:
    same(KINDS["depthwise"](), (3, 16, 16), tmp_path, Target(triple=HOST.triple, cpu=cpu))


@pytest.mark.slow
@pytest.mark.parametrize("cores", [2, 3])
def test_parts_compute_the_whole(cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, channels and columns are shared, with and without a remainder; 36 channels leave 4 beside full vectors."""
    monkeypatch.setattr("depthdial.deploy.graph.tiling.MACS_OF_A_PART", 1)
    net = nn.Sequential(
        nn.Conv2d(3, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 64, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(64, 36, 3, padding=1), nn.ReLU(), nn.Conv2d(36, 36, 3, padding=1, groups=36),
        nn.Conv2d(36, 16, (8, 1)), nn.Conv2d(16, 10, 1), nn.Flatten(), nn.Linear(80, 10),
    )  # fmt: skip
    same(net, (3, 16, 16), tmp_path, Target(triple=HOST.triple, cpu="x86-64-v3", cores=cores))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["resnet18", "resnet50", "resnext50_32x4d", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0",
     "convnext_tiny", "regnet_y_400mf", "shufflenet_v2_x1_0", "densenet121", "vit_b_32", "swin_t"],
)  # fmt: skip
def test_families_of_torchvision(name: str, tmp_path: Path) -> None:
    from torchvision.models import get_model

    size = 224 if name.startswith("vit") else 64
    same(get_model(name, num_classes=10), (3, size, size), tmp_path)


def test_what_is_not_supported_is_named_with_its_place() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cumsum(x, 1)

    net = nn.Sequential(nn.Conv2d(3, 4, 1), Odd(), nn.Softplus())
    with pytest.raises(DeployError, match="operations that are not supported: cumsum in 1; softplus in 2"):
        trace(net, torch.zeros(1, 3, 4, 4))
    with pytest.raises(DeployError, match="softmax over another axis than the last in 1"):
        trace(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Softmax(1)), torch.zeros(1, 3, 4, 4))
    node = Node(name="a", op="dance", inputs=("input",), shape=(1, 3), where="legs")
    graph = Graph(input_shape=(1, 3), nodes=(node,), weights={}, normalised={}, units=1)
    with pytest.raises(DeployError, match="dance in legs: there is no kernel for it"):
        program(graph, {"c00": FULL}, processor(HOST), Tiles())


class Computes(nn.Module):
    """What a function makes of images."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "one image": (lambda x: functional.conv2d(x[0], torch.ones(2, 3, 1, 1)), "a convolution that is not of images"),
    "weights": (lambda x: functional.conv2d(x, x[:, :, :1, :1]), "weights that are computed from the image"),
    "several": (lambda x: torch.max(x, 1)[0], r"max in .*; aten\.max\[0\] in"),
    "alpha": (lambda x: torch.add(x, x.abs(), alpha=2), "add with alpha"),
    "quotient": (lambda x: x / x.sum((2, 3), keepdim=True), "div by a tensor"),
    "bounds": (lambda x: functional.hardtanh(x), r"hardtanh from -1(\.0)? to 1(\.0)? in"),
    "windows": (lambda x: functional.max_pool2d(x, 2, dilation=2), "max pooling with dilation, divisor or ceil_mode"),
    "uneven": (lambda x: functional.adaptive_avg_pool2d(x, 3), "adaptive pooling of 4x4 to 3x3"),
    "norm": (lambda x: functional.layer_norm(x, (4, 4)), "layer_norm over more than channels"),
    "causal": (
        lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True), "attention with a mask or dropout"
    ),
    "border": (lambda x: functional.pad(x, (1, 1), value=1.0), "padding with other than zeros"),
    "rows": (lambda x: x.mean(2), "mean in .*: over some of the pixels"),
    "batches": (lambda x: x @ x[:, :1], r"matmul in .*: batches of \(1, 3\) and \(1, 1\)"),
    "values": (
        lambda x: functional.scaled_dot_product_attention(x, x, x[..., :2]), "values are not as wide as queries"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_an_operation_in_a_way_that_is_not_supported_is_refused(what: str) -> None:
    function, said = REFUSED[what]

    def written() -> str:
        graph, _ = trace(Computes(function).eval(), torch.zeros(1, 3, 4, 4), NONE)
        return program(graph, {"c00": FULL}, processor(HOST), Tiles())

    with pytest.raises(DeployError, match=said):
        written()


class Blocks(nn.Module):
    """Residual blocks of one shape between a stem and a head, which share nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 5)
        self.blocks = nn.Sequential(*(Sum(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def test_a_skipped_unit_is_gone_and_equal_layers_are_one_kernel(tmp_path: Path) -> None:
    net, x = settle(Blocks()), torch.randn(1, 3, 8, 8)
    graph, _ = trace(net, x, [f"blocks.{index}" for index in range(3)])
    write_graph(tmp_path / "graph.json", graph)
    assert read_graph(tmp_path / "graph.json").sha256 == graph.sha256
    ops = Counter(node.op for node in graph.keeping(Mask("010")).nodes)
    assert (ops["convolution"], ops["add"]) == (2, 1)
    text = program(graph, {"c00": Mask("111"), "c01": Mask("001"), "c02": Mask("000")}, processor(HOST), Tiles())
    assert text.count("stream.executable private") == len(set(re.findall(r"stream.executable private @(\w+)", text)))
    assert text.count("flow.dispatch @convolution") == (5 + 3 + 2)
    assert len(re.findall(r"stream.executable private @convolution", text)) == 5  # what a frame is around is another
    assert text.count('#flow.parameter.named<"weights"::"blocks.2.inside.0.weight">') == 1
    (tmp_path / "graph.json").write_text("{}")
    with pytest.raises(ArtefactError, match="cannot be read as the graph of a network"):
        read_graph(tmp_path / "graph.json")


def test_shortcuts_of_resnets_are_part_of_the_sums_that_read_them() -> None:
    graph = graph_of(Architecture(20, 16, 3, 32, 10))
    text = program(graph, {"c00": Mask.full(9)}, processor(HOST), Tiles())
    assert len(re.findall(r"= flow.dispatch", text)) == 1 + 19 + 2  # channels last, convolutions, mean and classifier
    assert "tensor.extract_slice" not in text
    skipped = program(graph, {"c00": Mask("111011111")}, processor(HOST), Tiles())
    assert len(re.findall(r"= flow.dispatch @pick", skipped)) == 1
    assert len(re.findall(r"= flow.dispatch", skipped)) == 22 - 2 + 1


def test_a_unit_that_changes_shape_cannot_be_skipped() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 4, 1))
    graph, _ = trace(net.eval(), torch.zeros(1, 3, 4, 4), ["1", "2"])
    assert len(graph.keeping(Mask("10")).nodes) == 2
    with pytest.raises(ValueError, match=r"unit 0 makes \(1, 4, 4, 4\) of \(1, 8, 4, 4\): it cannot be skipped"):
        graph.keeping(Mask("01"))


def test_a_unit_that_reads_two_values_cannot_be_skipped() -> None:
    node = Node(name="a", op="add", inputs=("input", "b"), shape=(1, 3), where="unit", unit=0)
    other = Node(name="b", op="relu", inputs=("input",), shape=(1, 3), where="before")
    graph = Graph(input_shape=(1, 3), nodes=(other, node), weights={}, normalised={}, units=1)
    with pytest.raises(ValueError, match=r"unit 0 reads \['b', 'input'\] and gives \['a'\]; expected one of each"):
        graph.keeping(Mask("0"))


def test_a_processor_that_the_compiler_does_not_tell_of_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthdial.deploy.processor._compiler_says", lambda *_: "")
    with pytest.raises(DeployError, match=r"does not tell what CPU this machine has; name it in place of `cpu: host`"):
        processor(HOST)
    with pytest.raises(DeployError, match="iree-compile does not tell what CPU cortex-a72 is"):
        core("cortex-a72")


def core(cpu: str) -> Processor:
    architecture = "x86_64" if cpu in CPUS["x86_64"] else "aarch64"
    return processor(Target(triple=f"{architecture}-unknown-linux-gnu", cpu=cpu))


def convolution(size: int, inside: int, outside: int, kernel: int, stride: int = 1) -> Convolution:
    edge = kernel // 2
    source = Image(size * stride, size * stride, inside, edge, edge, edge, edge)
    return Convolution(source, Image(size, size, outside), (kernel, kernel), (stride, stride), (1, 1), 1, 0, 0, ())


@given(
    st.sampled_from(["x86-64-v2", "x86-64-v3", "x86-64-v4", "cortex-a53", "neoverse-n1"]),
    st.builds(convolution, st.integers(1, 64), st.integers(1, 64), st.integers(1, 96), st.sampled_from([1, 3])),
)
def test_no_more_registers_than_there_are(cpu: str, shape: Convolution) -> None:
    found, one = cut(shape, core(cpu), Tiles()), core(cpu)
    assert needed_registers(found.rows * found.columns, found.vectors, one) <= one.registers
    assert found.rows == 1 or found.columns == shape.out.width


@given(st.integers(1, 300), st.sampled_from([4, 8, 16]), st.integers(1, 30))
def test_pieces_cover_everything_once(whole: int, lanes: int, most: int) -> None:
    found = chunks(whole, lanes)
    assert [first for first, _ in found] == [sum(size for _, size in found[:at]) for at in range(len(found))]
    assert sum(size for _, size in found) == whole
    assert all(first // BLOCK == (first + size - 1) // BLOCK for first, size in found)
    assert sum(count * size for _, count, size in balanced(whole, most)) == whole
    assert max(size for _, _, size in balanced(whole, most)) <= most


@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64-v4", "cortex-a72"])
@pytest.mark.parametrize("cores", [2, 4])
def test_cores_have_equal_shares_of_the_convolutions_of_resnets(cpu: str, cores: int) -> None:
    """A core with more to do is waited for; channels of one cache line are written by one core."""
    stages = ((32, 16, 16, 1), (16, 16, 32, 2), (16, 32, 32, 1), (8, 32, 64, 2), (8, 64, 64, 1))
    for size, inside, outside, stride in stages:
        shape, one = convolution(size, inside, outside, 3, stride), core(cpu).model_copy(update={"cores": cores})
        found = cut(shape, one, Tiles(workers=cores))
        rows = shape.shared == "rows"
        whole, most = (size, found.rows) if rows else (outside // one.floats, found.vectors)
        own = [shares(Kernel(one), part, cores, whole, most) for part in range(cores)]
        begins = [min(first + start * tile for first, start, _, tile in tiles) for tiles in own]
        assert begins == [part * whole // cores for part in range(cores)]
        assert {sum((stop - start) * tile for _, start, stop, tile in tiles) for tiles in own} == {whole // cores}
        assert rows or all(begin * one.floats % BLOCK == 0 for begin in begins)


def test_what_a_variant_says_holds() -> None:
    shape, one = convolution(28, 64, 64, 3), core("x86-64-v4")
    found = cut(shape, one, Tiles(channel_vectors=2, accumulators=8))
    assert found.vectors == 2
    assert found.rows * found.columns * found.vectors <= 8
    assert parts_of(shape, one, Tiles(workers=3)) == 3
    assert parts_of(convolution(4, 8, 8, 1), one, Tiles()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cpu", "multiply"), [("x86-64-v4", "vfmadd"), ("x86-64-v3", "vfmadd"), ("cortex-a72", "fmla")]
)
def test_nothing_is_spilled_in_the_innermost_loop(cpu: str, multiply: str, tmp_path: Path) -> None:
    """The assembly of convolutions: their innermost loops multiply and add, and never touch the stack."""
    architecture = "x86_64" if cpu in CPUS["x86_64"] else "aarch64"
    target = Target(triple=f"{architecture}-unknown-linux-gnu", cpu=cpu)
    net = nn.Sequential(nn.Conv2d(3, 64, 3, 2, 1), nn.Conv2d(64, 64, 3, 1, 1), nn.Conv2d(64, 128, 1))
    graph, _ = trace(net, torch.zeros(1, 3, 28, 28), NONE)
    text = program(graph, {"c00": FULL}, processor(target), Tiles())
    dump = f"--iree-hal-dump-executable-intermediates-to={tmp_path}"
    compiler = Compiler("c00", tmp_path / "log")
    compiler.run(text, [*target_flags(target, target.variant), "--iree-hal-link-executables=false", dump])
    loops = [loop for path in tmp_path.glob("*.s") for loop in innermost_loops(path.read_text(), multiply)]
    assert len(loops) >= 3
    stacked = re.compile(r"\(%r[sb]p|\[(sp|x29)\b")
    assert not [line for loop in loops for line in loop if stacked.search(line)]


def innermost_loops(assembly: str, multiply: str) -> list[list[str]]:
    """The loops of functions of convolutions that have multiply-adds and no other loop in them."""
    found = []
    for function in re.findall(r"^\w*convolution_\w+:\n(.*?)^\.Lfunc_end", assembly, re.M | re.S):
        lines = function.splitlines()
        labels = {line.rstrip(":"): number for number, line in enumerate(lines) if re.fullmatch(r"\.L\w+:", line)}
        ranges = []
        for number, line in enumerate(lines):
            jump = re.match(r"\s+(?:j|b\.|cb|tb)\S*\s.*?(\.L\w+)\s*$", line)
            if jump and labels.get(jump[1], number) < number:
                ranges.append((labels[jump[1]], number))
        for low, high in ranges:
            inner = any((low, high) != other and low <= other[0] and other[1] <= high for other in ranges)
            body = lines[low : high + 1]
            if not inner and any(multiply in line for line in body):
                found.append(body)
    return found
