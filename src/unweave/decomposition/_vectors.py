"""Vector instructions that numba has not, and two short pieces of code in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

instruction: Callable[[Any], Any] = intrinsic


def _registers() -> tuple[int, int]:
    """Give the bytes of a vector register, and how many rows of a tile fit in all of them."""
    if llvm.get_host_cpu_features().get("avx512f"):
        return 64, 4
    small = "x86" not in llvm.get_process_triple()  # 32 registers as well, but of 16 bytes
    return (16, 4) if small else (32, 2)


BYTES, ROWS = _registers()
LONG = 8  # vectors of a row that is summed alone: as many as additions need to overlap


def integer(value: int) -> Any:
    """Give a constant.

    Args:
        value: Its value.
    """
    return ir.IntType(64)(value)


class Vectors:
    """Writes code of vectors as long as the processor's registers.

    Args:
        context: Numba's.
        builder: Where code is written.
        kind: Of a value, Numba's.
    """

    def __init__(self, context: Any, builder: Any, kind: Any) -> None:
        self.context, self.b = context, builder
        self.lanes, self.align = BYTES * 8 // kind.bitwidth, kind.bitwidth // 8
        self.vector = ir.VectorType(context.get_value_type(kind), self.lanes)

    def place(self, kind: Any, array: Any, offset: Any) -> Any:
        """Give the address of a value.

        Args:
            kind: Of the array, Numba's.
            array: The array.
            offset: Where the value lies in it.
        """
        return self.b.gep(self.context.make_array(kind)(self.context, self.b, array).data, [offset])

    def load(self, place: Any, offset: Any, mask: Any = None) -> Any:
        """Read a vector.

        Args:
            place: An address.
            offset: How many values behind it.
            mask: Which values are there to be read; the others are zero.
        """
        b, pointer = self.b, self.vector.as_pointer()
        at = b.bitcast(b.gep(place, [offset]), pointer)
        if mask is None:
            loaded = b.load(at)
            loaded.align = self.align
            return loaded
        number = ir.IntType(32)
        kind = ir.FunctionType(self.vector, [pointer, number, mask.type, self.vector])
        function: Callable[..., Any] = cgutils.get_or_insert_function
        name = f"llvm.masked.load.v{self.lanes}f{8 * self.align}.p0"
        zeros = ir.Constant(self.vector, [0.0] * self.lanes)
        return b.call(function(b.module, kind, name), [at, number(self.align), mask, zeros])

    def store(self, value: Any, place: Any, offset: Any) -> None:
        """Write a vector.

        Args:
            value: The vector.
            place: An address.
            offset: How many values behind it.
        """
        pointer = self.b.bitcast(self.b.gep(place, [offset]), self.vector.as_pointer())
        self.b.store(value, pointer).align = self.align

    def spread(self, value: Any) -> Any:
        """Put a value in all lanes.

        Args:
            value: The value.
        """
        kind = ir.VectorType(value.type, self.lanes)
        nothing, first = ir.Constant(kind, ir.Undefined), ir.IntType(32)(0)
        one = self.b.insert_element(nothing, value, first)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(one, nothing, zeros)

    def multiplied(self, x: Any, y: Any, more: Any) -> Any:
        """Give x y + more, in one instruction where there is one.

        Args:
            x: A vector.
            y: A vector.
            more: A vector.
        """
        fused = ("contract",)
        return self.b.fadd(self.b.fmul(x, y, flags=fused), more, flags=fused)

    def summed(self, x: Any) -> Any:
        """Sum the lanes.

        Args:
            x: A vector.
        """
        size = self.lanes
        while size > 1:
            size //= 2
            kind, nothing = ir.VectorType(ir.IntType(32), size), ir.Constant(x.type, ir.Undefined)
            low, high = (
                self.b.shuffle_vector(
                    x, nothing, ir.Constant(kind, list(range(start, start + size)))
                )
                for start in (0, size)
            )
            x = self.b.fadd(low, high)
        return self.b.extract_element(x, ir.IntType(32)(0))


@instruction
def sum_of_lanes(_: Any, array: Any, offset: Any) -> tuple[Any, Any]:
    """Sum the vector at an offset of an array."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Vectors(context, builder, array.dtype)
        return code.summed(code.load(code.place(array, args[0], integer(0)), args[1]))

    return array.dtype(array, offset), build


@instruction
def renew_row(_: Any, arrays: Any, row: Any, rows: Any) -> tuple[Any, Any]:
    """Set one row of x to max(0, b + A x), with the same row of A and of b.

    Its arguments are arrays of A, b and x, all by rows, those of b and x of LONG vectors each; the
    row; and the number of rows.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Vectors(context, builder, arrays[0].dtype)
        unpack: Callable[..., Any] = cgutils.unpack_tuple
        slot: Callable[..., Any] = cgutils.alloca_once
        A, b, x = (
            code.place(kind, array, integer(0))
            for kind, array in zip(arrays, unpack(builder, args[0]), strict=True)
        )

        def offsets(k: Any) -> list[Any]:
            start = builder.mul(k, integer(LONG * code.lanes))
            return [builder.add(start, integer(j * code.lanes)) for j in range(LONG)]

        sums = [slot(builder, code.vector) for _ in range(LONG)]
        for total, offset in zip(sums, offsets(args[1]), strict=True):
            builder.store(code.load(b, offset), total)
        with cgutils.for_range(builder, args[2]) as loop:
            place = builder.add(builder.mul(args[1], args[2]), loop.index)
            a = code.spread(builder.load(builder.gep(A, [place])))
            for total, offset in zip(sums, offsets(loop.index), strict=True):
                more = code.multiplied(a, code.load(x, offset), builder.load(total))
                builder.store(more, total)
        zeros = ir.Constant(code.vector, [0.0] * code.lanes)
        for total, offset in zip(sums, offsets(args[1]), strict=True):
            value = builder.load(total)
            positive = builder.fcmp_ordered(">", value, zeros)
            code.store(builder.select(positive, value, zeros), x, offset)
        return context.get_dummy_value()

    return types.void(arrays, row, rows), build
