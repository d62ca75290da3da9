"""One tile of the quotient V / (W H), written as instructions that numba has not.

A tile is as large as the processor's registers: there its model is summed from pieces of both
factors, the data are divided by it, and what is wanted of the quotient leaves it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_instruction: Callable[[Any], Any] = intrinsic


def _registers() -> tuple[int, int]:
    """Give the bytes of a vector register, and how many rows of a tile fit in all of them."""
    if llvm.get_host_cpu_features().get("avx512f"):
        return 64, 4
    small = "x86" not in llvm.get_process_triple()  # 32 registers as well, but of 16 bytes
    return (16, 4) if small else (32, 2)


BYTES, ROWS = _registers()
VECTORS = 4  # of a row of a tile
_ROOT_HALF = 0x3F3504F3  # the bits of sqrt(1/2)
_LOG_2 = 0.6931471824645996
# log(1 + x) / x by least squares for 1 + x from sqrt(1/2) to sqrt(2), within 1e-8; two are exact
_SERIES = (
    1.0,
    -0.5,
    0.333333283662796,
    -0.2500082850456238,
    0.20001445710659027,
    -0.16623273491859436,
    0.1419764757156372,
    -0.13156946003437042,
    0.12785537540912628,
    -0.07670865207910538,
)


class _Tile:
    """Writes the code of one tile.

    Args:
        context: Numba's.
        builder: Where code is written.
        kinds: Types of the arguments.
        values: The arguments of the instruction.
    """

    def __init__(self, context: Any, builder: Any, kinds: Any, values: Any) -> None:
        self.b = builder
        unpack: Callable[..., Any] = cgutils.unpack_tuple
        kind = kinds[0].types[0].dtype
        self.lanes, self.align = BYTES * 8 // kind.bitwidth, kind.bitwidth // 8
        self.vector = ir.VectorType(context.get_value_type(kind), self.lanes)
        memory = zip(kinds[0].types, *(unpack(builder, value) for value in values[:2]), strict=True)
        self.V, self.W, self.H, self.out = (
            builder.gep(context.make_array(array)(context, builder, value).data, [place])
            for array, value, place in memory
        )
        self.step, self.count, self.ahead = unpack(builder, values[2])
        self.floor = values[3]

    def load(self, place: Any, offset: Any) -> Any:
        pointer = self.b.bitcast(self.b.gep(place, [offset]), self.vector.as_pointer())
        loaded = self.b.load(pointer)
        loaded.align = self.align
        return loaded

    def store(self, value: Any, place: Any, offset: Any) -> None:
        pointer = self.b.bitcast(self.b.gep(place, [offset]), self.vector.as_pointer())
        self.b.store(value, pointer).align = self.align

    def spread(self, value: Any) -> Any:
        nothing, first = ir.Constant(self.vector, ir.Undefined), ir.IntType(32)(0)
        one = self.b.insert_element(nothing, value, first)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.b.shuffle_vector(one, nothing, zeros)

    def multiplied(self, x: Any, y: Any, more: Any) -> Any:
        """Give x y + more, in one instruction where there is one."""
        fused = ("contract",)
        return self.b.fadd(self.b.fmul(x, y, flags=fused), more, flags=fused)

    def row(self, k: Any) -> list[Any]:
        """Give the offsets of the vectors of one component in H and in the sums of lanes."""
        start = self.b.mul(k, _int(self.lanes * VECTORS))
        return [self.b.add(start, _int(j * self.lanes)) for j in range(VECTORS)]

    def weight(self, i: int, k: Any) -> Any:
        """Give a value of W in all lanes."""
        place = self.b.add(self.b.mul(_int(i), self.count), k)
        return self.spread(self.b.load(self.b.gep(self.W, [place])))

    def quotients(self) -> list[list[Any]]:
        """Sum the model, and divide the data by it."""
        b = self.b
        place: Callable[..., Any] = cgutils.alloca_once
        model = [[place(b, self.vector) for _ in range(VECTORS)] for _ in range(ROWS)]
        floor = self.spread(self.floor)
        for row in model:
            for y in row:
                b.store(floor, y)
        with cgutils.for_range(b, self.count) as loop:
            h = [self.load(self.H, offset) for offset in self.row(loop.index)]
            for i, row in enumerate(model):
                w = self.weight(i, loop.index)
                for j, y in enumerate(row):
                    b.store(self.multiplied(w, h[j], b.load(y)), y)
        return [[self._quotient(i, j, y) for j, y in enumerate(row)] for i, row in enumerate(model)]

    def _quotient(self, i: int, j: int, y: Any) -> Any:
        offset = self.b.add(self.b.mul(_int(i), self.step), _int(j * self.lanes))
        self._fetch(self.b.gep(self.V, [self.b.add(offset, self.ahead)]))
        return self.b.fdiv(self.load(self.V, offset), self.b.load(y))

    def _fetch(self, place: Any) -> None:
        """Have a line of later data read, to the second cache."""
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function: Callable[..., Any] = cgutils.get_or_insert_function
        fetch = function(self.b.module, kind, "llvm.prefetch.p0")
        self.b.call(fetch, [self.b.bitcast(place, byte), number(0), number(3), number(1)])


def _int(value: int) -> Any:
    return ir.IntType(64)(value)


def _with_quotients(use: Callable[[_Tile, list[list[Any]]], None]) -> Any:
    """Make an instruction that makes a tile of the quotient and uses it.

    Its arguments are arrays of V, W, H and what is written; where the tile, and what belongs to it,
    begins in each; the step from row to row of V, the number of components, and how far from the
    tile data lie that will be wanted later; and the floor of the model.
    """

    @_instruction
    def quotients(_: Any, arrays: Any, places: Any, sizes: Any, floor: Any) -> tuple[Any, Any]:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            tile = _Tile(context, builder, signature.args, args)
            use(tile, tile.quotients())
            return context.get_dummy_value()

        return types.void(arrays, places, sizes, floor), build

    return quotients


@_with_quotients
def add_rows(tile: _Tile, quotients: list[list[Any]]) -> None:
    """Add W' Q of a tile Q to a row for each component, as H has them."""
    with cgutils.for_range(tile.b, tile.count) as loop:
        places = tile.row(loop.index)
        sums = [tile.load(tile.out, place) for place in places]
        for i, row in enumerate(quotients):
            w = tile.weight(i, loop.index)
            sums = [tile.multiplied(w, q, s) for q, s in zip(row, sums, strict=True)]
        for s, place in zip(sums, places, strict=True):
            tile.store(s, tile.out, place)


@_with_quotients
def add_lanes(tile: _Tile, quotients: list[list[Any]]) -> None:
    """Add H Q' of a tile Q to a vector for each row and component, not yet summed over lanes."""
    with cgutils.for_range(tile.b, tile.count) as loop:
        h = [tile.load(tile.H, place) for place in tile.row(loop.index)]
        for i, row in enumerate(quotients):
            first = tile.b.add(tile.b.mul(_int(i), tile.count), loop.index)
            place = tile.b.mul(first, _int(tile.lanes))
            total = tile.load(tile.out, place)
            for j, q in enumerate(row):
                total = tile.multiplied(h[j], q, total)
            tile.store(total, tile.out, place)


@_with_quotients
def put_logarithms(tile: _Tile, quotients: list[list[Any]]) -> None:
    """Store the natural logarithms of a tile, in single precision."""
    for i, row in enumerate(quotients):
        for q, place in zip(row, tile.row(_int(i)), strict=True):
            tile.store(_logarithm(tile, q), tile.out, place)


def _logarithm(tile: _Tile, q: Any) -> Any:
    """Give log(2^e (1 + x)) = e log 2 + log(1 + x) with 1 + x from sqrt(1/2) to sqrt(2).

    Of 0 it is some negative number, since 0 log 0 is nothing here.
    """
    b, whole = tile.b, ir.VectorType(ir.IntType(32), tile.lanes)

    def same(value: Any, kind: Any = tile.vector) -> Any:
        return ir.Constant(kind, [value] * tile.lanes)

    bits = b.bitcast(q, whole)
    e = b.ashr(b.sub(bits, same(_ROOT_HALF, whole)), same(23, whole))
    mantissa = b.bitcast(b.sub(bits, b.shl(e, same(23, whole))), tile.vector)
    x = b.fsub(mantissa, same(1.0))
    total = same(_SERIES[-1])
    for factor in _SERIES[-2::-1]:
        total = tile.multiplied(total, x, same(factor))
    return tile.multiplied(b.sitofp(e, tile.vector), same(_LOG_2), b.fmul(total, x))
