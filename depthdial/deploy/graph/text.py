"""The text of one kernel: loops, vectors and buffers of MLIR, written as they are to run.

A kernel is an executable of one entry that reads buffers and writes the last of them. Its body holds no tensor that a
compiler could cut, fuse or copy: loads, multiply-adds and stores of whole vectors in loops, so that the code which
comes out is the one that was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from depthdial.deploy.core import Processor

Index = int | str
"""A number known now, or the name of a value of type index."""
Body = Callable[[str, list[str]], list[str]]
"""What a loop does: from its counter and the values carried, to these values for the next round."""


def vector(lanes: int) -> str:
    """The type of a vector of floats."""
    return f"vector<{lanes}xf32>"


def buffer(*shape: int) -> str:
    """The type of a row-major buffer of floats."""
    return f"memref<{'x'.join(map(str, shape))}xf32>"


def literal(value: float) -> str:
    """A number as MLIR reads it: with a point, whatever its exponent."""
    return f"{value:.17e}"


class Kernel:
    """A kernel under construction; methods that compute return the names of values.

    ``lanes`` are the floats of a whole vector. A processor that does not add a product to a sum by one instruction
    would be made to compute the exact result of that, by a function call for every number; so it is given two.
    """

    def __init__(self, core: Processor) -> None:
        self.lanes, self.fused = core.floats, core.fused
        self.lines: list[str] = []
        self.head: list[str] = []
        self.constants: dict[str, str] = {}
        self.bindings: list[str] = []
        self.shapes: list[tuple[int, ...]] = []
        self.values = 0

    def _name(self) -> str:
        self.values += 1
        return f"%v{self.values}"

    def add(self, operation: str) -> str:
        """The value of an operation."""
        name = self._name()
        self.lines.append(f"{name} = {operation}")
        return name

    def do(self, operation: str) -> None:
        """An operation that has no value."""
        self.lines.append(operation)

    def constant(self, text: str) -> str:
        """A constant, declared once at the beginning."""
        if text not in self.constants:
            self.constants[text] = f"%c{len(self.constants)}"
            self.head.append(f"{self.constants[text]} = arith.constant {text}")
        return self.constants[text]

    def index(self, value: Index) -> str:
        """An index as the name of a value."""
        return self.constant(f"{value} : index") if isinstance(value, int) else value

    def splat(self, value: float, lanes: int) -> str:
        """A vector of one number."""
        return self.constant(f"dense<{literal(value)}> : {vector(lanes)}")

    def scalar(self, value: float) -> str:
        """A number."""
        return self.constant(f"{literal(value)} : f32")

    def argument(self, *shape: int) -> str:
        """The next buffer that the kernel is given."""
        number = len(self.bindings)
        self.bindings.append(f"%b{number}: !stream.binding")
        self.shapes.append(shape)
        zero = self.constant("0 : index")
        name = f"%m{number}"
        self.head.append(f"{name} = stream.binding.subspan %b{number}[{zero}] : !stream.binding -> {buffer(*shape)}")
        return name

    def sum(self, left: Index, right: Index) -> Index:
        """left + right."""
        if isinstance(left, int) and isinstance(right, int):
            return left + right
        if left == 0 or right == 0:
            return right if left == 0 else left
        return self.add(f"arith.addi {self.index(left)}, {self.index(right)} overflow<nsw> : index")

    def product(self, left: Index, right: int) -> Index:
        """left * right."""
        if isinstance(left, int):
            return left * right
        return left if right == 1 else self.add(f"arith.muli {left}, {self.index(right)} overflow<nsw> : index")

    def product_sum(self, left: str, right: str, into: str, lanes: int) -> str:
        """left * right + into, of vectors."""
        kind = vector(lanes)
        if self.fused:
            return self.add(f"vector.fma {left}, {right}, {into} : {kind}")
        return self.add(f"arith.addf {self.add(f'arith.mulf {left}, {right} : {kind}')}, {into} : {kind}")

    def loop(self, start: Index, stop: Index, step: int, carried: Sequence[tuple[str, str]], body: Body) -> list[str]:
        """``body`` for each counter from start to stop; ``carried`` are first values and types. The last values."""
        if isinstance(start, int) and isinstance(stop, int) and start + step >= stop:
            return body(self.index(start), [value for value, _ in carried]) if start < stop else [v for v, _ in carried]
        counter, result = self._name(), self._name()
        names = [self._name() for _ in carried]
        types = ", ".join(kind for _, kind in carried)
        begin = f"scf.for {counter} = {self.index(start)} to {self.index(stop)} step {self.index(step)}"
        if not carried:
            self.do(f"{begin} {{")
            body(counter, [])
            self.do("}")
            return []
        pairs = ", ".join(f"{name} = {value}" for name, (value, _) in zip(names, carried, strict=True))
        self.do(f"{result}:{len(names)} = {begin} iter_args({pairs}) -> ({types}) {{")
        given = body(counter, names)
        self.do(f"scf.yield {', '.join(given)} : {types}\n}}")
        return [f"{result}#{place}" for place in range(len(names))]

    def each(self, start: Index, stop: Index, step: int, body: Callable[[str], None]) -> None:
        """``body`` for each counter, nothing carried."""

        def work(counter: str, _: list[str]) -> list[str]:
            body(counter)
            return []

        self.loop(start, stop, step, [], work)

    def first(self, part: str | None, body: Callable[[], None]) -> None:
        """``body`` by the first part alone; ``part`` is None where there is one."""
        if part is None:
            body()
            return
        self.do(f"scf.if {self.add(f'arith.cmpi eq, {part}, {self.index(0)} : index')} {{")
        body()
        self.do("}")

    def either(self, true: str, kind: str, body: Callable[[], str], otherwise: str) -> str:
        """The value of ``body`` where ``true`` holds, another where not."""
        result = self._name()
        self.do(f"{result} = scf.if {true} -> ({kind}) {{")
        self.do(f"scf.yield {body()} : {kind}\n}} else {{\nscf.yield {otherwise} : {kind}\n}}")
        return result

    def text(self, name: str, parts: int) -> str:
        """The executable ``name`` with an entry of that name, run in ``parts`` that may run side by side."""
        body = "\n".join([*self.head, *self.lines])
        info = "#iree_codegen.translation_info<pipeline = #iree_cpu.pipeline<Default>>"
        return (
            f"stream.executable private @{name} {{\n"
            f"stream.executable.export public @{name} workgroups() -> (index, index, index) {{\n"
            f"%p = arith.constant {parts} : index\n%o = arith.constant 1 : index\n"
            "stream.return %p, %o, %o : index, index, index\n}\nbuiltin.module {\n"
            f"func.func @{name}({', '.join(self.bindings)}) attributes {{translation_info = {info}}} {{\n"
            f"{body}\nreturn\n}}\n}}\n}}\n"
        )
