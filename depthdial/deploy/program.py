"""A configuration as an MLIR program: what is left of the network, and nothing of what was skipped.

The program is written as linalg on tensors rather than traced from PyTorch: activations are channels-last
and every weight is used in the layout in which the archive holds it, so that nothing is transposed, neither
at run time nor when the weights are loaded. It depends on the architecture and the mask alone; weights and
BatchNorm are parameters that the runtime maps from archives. The numerics gate compares it with PyTorch.
"""

from __future__ import annotations

from depthdial.arch import Architecture, BlockShape
from depthdial.deploy.manifest import FUNCTION, NORMALISATION_SCOPE, WEIGHTS_SCOPE
from depthdial.masks import Mask

_MAPS = """\
#image = affine_map<(n, h, w, c) -> (n, h, w, c)>
#channel = affine_map<(n, h, w, c) -> (c)>
#pooled = affine_map<(n, h, w, c) -> (n, c)>
#vector = affine_map<(n, c) -> (n, c)>
#bias = affine_map<(n, c) -> (c)>
#row = affine_map<(n, k, c) -> (n, c)>
#matrix = affine_map<(n, k, c) -> (k, c)>
#product = affine_map<(n, k, c) -> (n, k)>
"""


def tensor(*shape: int) -> str:
    """The MLIR type of a float32 tensor."""
    return f"tensor<{'x'.join(map(str, shape))}xf32>"


class _Program:
    """Lines of a function under construction; every method returns the name of an SSA value."""

    def __init__(self) -> None:
        self.parameters: list[str] = []
        self.lines: list[str] = []
        self.values = 0

    def add(self, operation: str) -> str:
        name = f"%{self.values}"
        self.values += 1
        self.lines.append(f"{name} = {operation}")
        return name

    def parameter(self, scope: str, key: str, *shape: int) -> str:
        symbol = f'@"{key}"'
        self.parameters.append(
            f'util.global private {symbol} = #flow.parameter.named<"{scope}"::"{key}"> : {tensor(*shape)}'
        )
        return self.add(f"util.global.load {symbol} : {tensor(*shape)}")

    def zeros(self, *shape: int) -> str:
        empty = self.add(f"tensor.empty() : {tensor(*shape)}")
        return self.add(f"linalg.fill ins(%zero : f32) outs({empty} : {tensor(*shape)}) -> {tensor(*shape)}")

    def pad(self, x: str, low: str, high: str, before: str, after: str) -> str:
        return self.add(
            f"tensor.pad {x} low[{low}] high[{high}] {{\n"
            "^bb0(%n: index, %h: index, %w: index, %c: index):\n"
            f"  tensor.yield %zero : f32\n}} : {before} to {after}"
        )

    def generic(
        self, maps: str, iterators: str, inputs: list[tuple[str, str]], into: tuple[str, str], body: str
    ) -> str:
        kinds = {"p": '"parallel"', "r": '"reduction"'}
        attributes = ", ".join(f"#{name}" for name in maps.split())
        loops = ", ".join(kinds[letter] for letter in iterators)
        operands = ", ".join(value for value, _ in inputs)
        types = ", ".join(kind for _, kind in inputs)
        arguments = ", ".join(f"%i{index}: f32" for index in range(len(inputs)))
        return self.add(
            f"linalg.generic {{indexing_maps = [{attributes}], iterator_types = [{loops}]}} "
            f"ins({operands} : {types}) outs({into[0]} : {into[1]}) {{\n"
            f"^bb0({arguments}, %o: f32):\n{body}\n}} -> {into[1]}"
        )

    def convolution(self, x: str, key: str, size: int, inside: int, outside: int, stride: int) -> str:
        """3x3, one pixel of zeros around; (1, size * stride, ., inside) to (1, size, ., outside)."""
        before = size * stride
        framed = tensor(1, before + 2, before + 2, inside)
        x = self.pad(x, "0, 1, 1, 0", "0, 1, 1, 0", tensor(1, before, before, inside), framed)
        weight = self.parameter(WEIGHTS_SCOPE, f"{key}.weight", 3, 3, inside, outside)
        into, kind = self.zeros(1, size, size, outside), tensor(1, size, size, outside)
        return self.add(
            "linalg.conv_2d_nhwc_hwcf "
            f"{{dilations = dense<1> : vector<2xi64>, strides = dense<{stride}> : vector<2xi64>}} "
            f"ins({x}, {weight} : {framed}, {tensor(3, 3, inside, outside)}) outs({into} : {kind}) -> {kind}"
        )

    def normalise(self, x: str, key: str, size: int, channels: int, shortcut: str | None = None) -> str:
        """``relu(x * scale + shift [+ shortcut])`` on (1, size, size, channels)."""
        both = self.parameter(NORMALISATION_SCOPE, key, 2, channels)
        types = f"{tensor(2, channels)} to {tensor(channels)}"
        scale = self.add(f"tensor.extract_slice {both}[0, 0] [1, {channels}] [1, 1] : {types}")
        shift = self.add(f"tensor.extract_slice {both}[1, 0] [1, {channels}] [1, 1] : {types}")
        kind, per_channel = tensor(1, size, size, channels), tensor(channels)
        inputs = [(x, kind), (scale, per_channel), (shift, per_channel)]
        body = "  %m = arith.mulf %i0, %i1 : f32\n  %a = arith.addf %m, %i2 : f32\n"
        if shortcut is None:
            body += "  %r = arith.maximumf %a, %zero : f32\n"
        else:
            inputs.append((shortcut, kind))
            body += "  %s = arith.addf %a, %i3 : f32\n  %r = arith.maximumf %s, %zero : f32\n"
        maps = "image channel channel" + (" image" if shortcut else "") + " image"
        empty = self.add(f"tensor.empty() : {kind}")
        return self.generic(maps, "pppp", inputs, (empty, kind), body + "  linalg.yield %r : f32")

    def shortcut(self, x: str, shape: BlockShape) -> str:
        """Option A: subsample by the stride and append channels of zeros; ``x`` itself within a stage."""
        size, inside, outside = shape.size, shape.in_channels, shape.out_channels
        if shape.stride > 1:
            before = tensor(1, size * shape.stride, size * shape.stride, inside)
            x = self.add(
                f"tensor.extract_slice {x}[0, 0, 0, 0] [1, {size}, {size}, {inside}] "
                f"[1, {shape.stride}, {shape.stride}, 1] : {before} to {tensor(1, size, size, inside)}"
            )
        if outside > inside:
            high = f"0, 0, 0, {outside - inside}"
            x = self.pad(x, "0, 0, 0, 0", high, tensor(1, size, size, inside), tensor(1, size, size, outside))
        return x

    def block(self, x: str, shape: BlockShape) -> str:
        """A kept block."""
        key, size = f"blocks.{shape.index}", shape.size
        inside, outside = shape.in_channels, shape.out_channels
        hidden = self.convolution(x, f"{key}.conv1", size, inside, outside, shape.stride)
        hidden = self.normalise(hidden, f"{key}.bn1", size, outside)
        branch = self.convolution(hidden, f"{key}.conv2", size, outside, outside, 1)
        return self.normalise(branch, f"{key}.bn2", size, outside, self.shortcut(x, shape))

    def classify(self, x: str, size: int, channels: int, classes: int) -> str:
        """Global average pooling and the linear classifier: (1, size, size, channels) to (1, classes)."""
        image, pooled, logits = tensor(1, size, size, channels), tensor(1, channels), tensor(1, classes)
        add = "  %a = arith.addf %i0, %o : f32\n  linalg.yield %a : f32"
        total = self.generic("image pooled", "prrp", [(x, image)], (self.zeros(1, channels), pooled), add)
        share = "  %m = arith.mulf %i0, %per_pixel : f32\n  linalg.yield %m : f32"
        empty = self.add(f"tensor.empty() : {pooled}")
        mean = self.generic("vector vector", "pp", [(total, pooled)], (empty, pooled), share)
        bias = self.parameter(WEIGHTS_SCOPE, "classifier.bias", classes)
        weight = self.parameter(WEIGHTS_SCOPE, "classifier.weight", classes, channels)
        empty = self.add(f"tensor.empty() : {logits}")
        copy = "  linalg.yield %i0 : f32"
        start = self.generic("bias vector", "pp", [(bias, tensor(classes))], (empty, logits), copy)
        body = "  %m = arith.mulf %i0, %i1 : f32\n  %a = arith.addf %m, %o : f32\n  linalg.yield %a : f32"
        inputs = [(mean, pooled), (weight, tensor(classes, channels))]
        return self.generic("row matrix product", "ppr", inputs, (start, logits), body)


def program(arch: Architecture, mask: Mask) -> str:
    """MLIR of ``main``: normalised images (1, C, H, W) to logits (1, classes), float32."""
    if mask.n != arch.n_blocks:
        raise ValueError(f"mask {mask} has {mask.n} blocks, the network has {arch.n_blocks}")
    size, inside, last = arch.image_size, arch.in_channels, arch.blocks[-1]
    image, logits = tensor(1, inside, size, size), tensor(1, arch.classes)
    text = _Program()
    empty = text.add(f"tensor.empty() : {tensor(1, size, size, inside)}")
    x = text.add(
        f"linalg.transpose ins(%image : {image}) outs({empty} : {tensor(1, size, size, inside)}) "
        "permutation = [0, 2, 3, 1]"
    )
    x = text.convolution(x, "stem_conv", size, inside, arch.width, 1)
    x = text.normalise(x, "stem_bn", size, arch.width)
    for shape in arch.blocks:
        x = text.block(x, shape) if mask.gates[shape.index] else text.shortcut(x, shape)
    result = text.classify(x, last.size, last.out_channels, arch.classes)
    return "\n".join(
        [
            f"{_MAPS}module @depthdial {{",
            *text.parameters,
            f"util.func public @{FUNCTION}(%image: {image}) -> {logits} {{",
            "%zero = arith.constant 0.0 : f32",
            f"%per_pixel = arith.constant {1 / last.size**2!r} : f32",
            *text.lines,
            f"util.return {result} : {logits}",
            "}\n}\n",
        ]
    )
