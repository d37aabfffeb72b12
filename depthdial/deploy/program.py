"""Configurations as an MLIR program, a function each: what is left of the network, and nothing of what was skipped.

The program is written as linalg on tensors rather than traced from PyTorch: activations are channels-last
and every weight is used in the layout in which the archive holds it, so that nothing is transposed, neither
at run time nor when the weights are loaded. It depends on the architecture and the masks alone; weights and
BatchNorm are parameters that the runtime maps from archives. The numerics gate compares it with PyTorch.

Between convolutions activations are *frames*: an image and a pixel of zeros around it, which a convolution reads as
it is. The shortcut reads the image inside a frame at an offset that the compiler cannot see through: knowing that
this is the image as it was before it was framed, it would keep that too, and frame it in a copy of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from depthdial.deploy.calls import NORMALISATION_SCOPE, WEIGHTS_SCOPE
from depthdial.networks.families.he_shapes import Architecture, BlockShape
from depthdial.networks.masks import Mask

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


def image(size: int, channels: int) -> str:
    """The type of one channels-last image."""
    return tensor(1, size, size, channels)


class _Function:
    """The function of one configuration under construction; its methods return the names of SSA values."""

    def __init__(self, name: str) -> None:
        self.name = name
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

    def framed(self, x: str, size: int, channels: int) -> str:
        """The frame (1, size + 2, size + 2, channels) of an image."""
        return self.pad(x, "0, 1, 1, 0", "0, 1, 1, 0", image(size, channels), image(size + 2, channels))

    def inside(self, frame: str, size: int, channels: int) -> str:
        """The image in a frame."""
        return self.add(
            f"tensor.extract_slice {frame}[0, %one, %one, 0] [1, {size}, {size}, {channels}] [1, 1, 1, 1] : "
            f"{image(size + 2, channels)} to {image(size, channels)}"
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

    def convolution(self, frame: str, key: str, size: int, inside: int, outside: int, stride: int) -> str:
        """3x3 over a frame of (size * stride)^2 pixels of ``inside`` channels, to an image (1, size, size, outside)."""
        before, kind = image(size * stride + 2, inside), image(size, outside)
        weight = self.parameter(WEIGHTS_SCOPE, f"{key}.weight", 3, 3, inside, outside)
        into = self.zeros(1, size, size, outside)
        return self.add(
            "linalg.conv_2d_nhwc_hwcf "
            f"{{dilations = dense<1> : vector<2xi64>, strides = dense<{stride}> : vector<2xi64>}} "
            f"ins({frame}, {weight} : {before}, {tensor(3, 3, inside, outside)}) outs({into} : {kind}) -> {kind}"
        )

    def normalise(self, x: str, key: str, size: int, channels: int, shortcut: str | None = None) -> str:
        """The frame of ``relu(x * scale + shift [+ shortcut])`` of an image."""
        both = self.parameter(NORMALISATION_SCOPE, f"{self.name}/{key}", 2, channels)
        types = f"{tensor(2, channels)} to {tensor(channels)}"
        scale = self.add(f"tensor.extract_slice {both}[0, 0] [1, {channels}] [1, 1] : {types}")
        shift = self.add(f"tensor.extract_slice {both}[1, 0] [1, {channels}] [1, 1] : {types}")
        kind, per_channel = image(size, channels), tensor(channels)
        inputs = [(x, kind), (scale, per_channel), (shift, per_channel)]
        body = "  %m = arith.mulf %i0, %i1 : f32\n  %a = arith.addf %m, %i2 : f32\n"
        if shortcut is None:
            body += "  %r = arith.maximumf %a, %zero : f32\n"
        else:
            inputs.append((shortcut, kind))
            body += "  %s = arith.addf %a, %i3 : f32\n  %r = arith.maximumf %s, %zero : f32\n"
        maps = "image channel channel" + (" image" if shortcut else "") + " image"
        empty = self.add(f"tensor.empty() : {kind}")
        result = self.generic(maps, "pppp", inputs, (empty, kind), body + "  linalg.yield %r : f32")
        return self.framed(result, size, channels)

    def shortcut(self, frame: str, shape: BlockShape) -> str:
        """Option A: the image inside the frame, subsampled by the stride, with channels of zeros appended."""
        size, inside, outside = shape.size, shape.in_channels, shape.out_channels
        before = size * shape.stride
        x = self.inside(frame, before, inside)
        if shape.stride > 1:
            x = self.add(
                f"tensor.extract_slice {x}[0, 0, 0, 0] [1, {size}, {size}, {inside}] "
                f"[1, {shape.stride}, {shape.stride}, 1] : {image(before, inside)} to {image(size, inside)}"
            )
        if outside > inside:
            high = f"0, 0, 0, {outside - inside}"
            x = self.pad(x, "0, 0, 0, 0", high, image(size, inside), image(size, outside))
        return x

    def kept(self, frame: str, shape: BlockShape) -> str:
        """A block that is kept, from frame to frame."""
        key, size = f"blocks.{shape.index}", shape.size
        inside, outside = shape.in_channels, shape.out_channels
        hidden = self.convolution(frame, f"{key}.conv1", size, inside, outside, shape.stride)
        hidden = self.normalise(hidden, f"{key}.bn1", size, outside)
        branch = self.convolution(hidden, f"{key}.conv2", size, outside, outside, 1)
        return self.normalise(branch, f"{key}.bn2", size, outside, self.shortcut(frame, shape))

    def skipped(self, frame: str, shape: BlockShape) -> str:
        """What a skipped block leaves: nothing within a stage."""
        if shape.stride == 1 and shape.out_channels == shape.in_channels:
            return frame
        return self.framed(self.shortcut(frame, shape), shape.size, shape.out_channels)

    def classify(self, frame: str, size: int, channels: int, classes: int) -> str:
        """Global average pooling and the linear classifier: a frame to (1, classes)."""
        x = self.inside(frame, size, channels)
        pooled, logits = tensor(1, channels), tensor(1, classes)
        add = "  %a = arith.addf %i0, %o : f32\n  linalg.yield %a : f32"
        into = (self.zeros(1, channels), pooled)
        total = self.generic("image pooled", "prrp", [(x, image(size, channels))], into, add)
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

    def text(self, arch: Architecture, mask: Mask) -> str:
        """The function: a normalised image (1, C, H, W) to logits (1, classes), float32."""
        size, inside, last = arch.image_size, arch.in_channels, arch.blocks[-1]
        given, logits = tensor(1, inside, size, size), tensor(1, arch.classes)
        empty = self.add(f"tensor.empty() : {image(size, inside)}")
        x = self.add(
            f"linalg.transpose ins(%image : {given}) outs({empty} : {image(size, inside)}) permutation = [0, 2, 3, 1]"
        )
        x = self.convolution(self.framed(x, size, inside), "stem_conv", size, inside, arch.width, 1)
        frame = self.normalise(x, "stem_bn", size, arch.width)
        for shape in arch.blocks:
            frame = self.kept(frame, shape) if mask.gates[shape.index] else self.skipped(frame, shape)
        result = self.classify(frame, last.size, last.out_channels, arch.classes)
        return "\n".join(
            [
                f"util.func public @{self.name}(%image: {given}) -> {logits} {{",
                "%zero = arith.constant 0.0 : f32",
                f"%per_pixel = arith.constant {1 / last.size**2!r} : f32",
                "%seen = arith.constant 1 : index",
                "%one = util.optimization_barrier %seen : index",
                *self.lines,
                f"util.return {result} : {logits}",
                "}",
            ]
        )


def program(arch: Architecture, masks: Mapping[str, Mask]) -> str:
    """MLIR of a function per configuration, by its name; they share the weights and the code of equal layers."""
    parameters: dict[str, None] = {}
    functions = []
    for name, mask in masks.items():
        if mask.n != arch.n_blocks:
            raise ValueError(f"mask {mask} has {mask.n} blocks, the network has {arch.n_blocks}")
        function = _Function(name)
        functions.append(function.text(arch, mask))
        parameters |= dict.fromkeys(function.parameters)
    return "\n".join([f"{_MAPS}module @depthdial {{", *parameters, *functions, "}\n"])
