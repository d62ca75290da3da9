"""One tile of V, or of the quotient V / (W H), written as instructions that numba has not.

A tile is as large as the processor's registers: there its model is summed from pieces of both
factors, the data are divided by it, and what is wanted of the quotient leaves it. Without a floor
for the model there is no model: what is wanted is then made of V itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils

from unweave.decomposition._vectors import ROWS, Vectors, instruction, integer

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


class _Tile(Vectors):
    """Writes the code of one tile.

    Args:
        context: Numba's.
        builder: Where code is written.
        kinds: Types of the arguments.
        values: The arguments of the instruction.
    """

    def __init__(self, context: Any, builder: Any, kinds: Any, values: Any) -> None:
        super().__init__(context, builder, kinds[0].types[0].dtype)
        unpack: Callable[..., Any] = cgutils.unpack_tuple
        memory = zip(kinds[0].types, *(unpack(builder, value) for value in values[:2]), strict=True)
        self.V, self.W, self.H, self.out = (self.place(*each) for each in memory)
        self.step, self.count, self.ahead, *end = unpack(builder, values[2])
        self.masks = self._masks(end[0]) if end else None
        self.floor = None if kinds[3] == types.none else values[3]

    def _masks(self, end: Any) -> list[Any]:
        """Tell which values of each vector of a row lie before the end of the data."""
        whole = ir.VectorType(ir.IntType(64), self.lanes)
        places = [[j * self.lanes + lane for lane in range(self.lanes)] for j in range(VECTORS)]
        ends = self.spread(end)
        return [self.b.icmp_signed("<", ir.Constant(whole, place), ends) for place in places]

    def row(self, k: Any) -> list[Any]:
        """Give the offsets of the vectors of one component in H and in the sums of lanes."""
        start = self.b.mul(k, integer(self.lanes * VECTORS))
        return [self.b.add(start, integer(j * self.lanes)) for j in range(VECTORS)]

    def weight(self, i: int, k: Any) -> Any:
        """Give a value of W in all lanes."""
        place = self.b.add(self.b.mul(integer(i), self.count), k)
        return self.spread(self.b.load(self.b.gep(self.W, [place])))

    def quotients(self) -> list[list[Any]]:
        """Sum the model, and divide the data by it; or give the data as they are."""
        b = self.b
        if self.floor is None:
            return [[self._data(i, j) for j in range(VECTORS)] for i in range(ROWS)]
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
        return [
            [b.fdiv(self._data(i, j), b.load(y)) for j, y in enumerate(row)]
            for i, row in enumerate(model)
        ]

    def _data(self, i: int, j: int) -> Any:
        offset = self.b.add(self.b.mul(integer(i), self.step), integer(j * self.lanes))
        self._fetch(self.b.gep(self.V, [self.b.add(offset, self.ahead)]))
        if self.masks is None:
            return self.load(self.V, offset)
        return self.load(self.V, offset, self.masks[j])

    def _fetch(self, place: Any) -> None:
        """Have a line of later data read, to the second cache."""
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function: Callable[..., Any] = cgutils.get_or_insert_function
        fetch = function(self.b.module, kind, "llvm.prefetch.p0")
        self.b.call(fetch, [self.b.bitcast(place, byte), number(0), number(3), number(1)])


def _with_quotients(use: Callable[[_Tile, list[list[Any]]], None]) -> Any:
    """Make an instruction that makes a tile of the quotient and uses it.

    Its arguments are arrays of V, W, H and what is written; where the tile, and what belongs to it,
    begins in each; the step from row to row of V, the number of components, how far from the tile
    data lie that will be wanted later, and, if it reaches over the end of V, how many columns lie
    before that; and the floor of the model, or None for V itself.
    """

    @instruction
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
            first = tile.b.add(tile.b.mul(integer(i), tile.count), loop.index)
            place = tile.b.mul(first, integer(tile.lanes))
            total = tile.load(tile.out, place)
            for j, q in enumerate(row):
                total = tile.multiplied(h[j], q, total)
            tile.store(total, tile.out, place)


@_with_quotients
def put_logarithms(tile: _Tile, quotients: list[list[Any]]) -> None:
    """Store the natural logarithms of a tile, in single precision."""
    for i, row in enumerate(quotients):
        for q, place in zip(row, tile.row(integer(i)), strict=True):
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
