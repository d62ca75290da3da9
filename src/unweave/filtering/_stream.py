"""Stores past the caches, as two instructions that numba has not.

A line that is stored normally is read first. Estimates are larger than the caches and not read
again soon, so whole lines go to memory directly, which takes half the time. Processors without such
stores take ordinary ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

LINE = 64  # bytes
_instruction: Callable[[Any], Any] = intrinsic


@_instruction
def before_line(_: Any, array: Any, at: Any) -> tuple[Any, Any]:
    """Give the number of bytes from an element to where the next line begins."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = ir.IntType(64)
        place = builder.ptrtoint(_place(context, builder, signature.args[0], args), whole)
        return builder.and_(builder.neg(place), whole(LINE - 1))

    return types.uint64(array, at), build


@_instruction
def store_lines(_: Any, rows: Any, re: Any, im: Any, out: Any, at: Any) -> tuple[Any, Any]:
    """Join real and imaginary parts, a line's worth of each, to two lines of complex values.

    Values are rounded to the precision of the lines.
    """

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given, kind = signature.args[0].dtype, signature.args[3].dtype
        lanes = LINE * 8 // kind.bitwidth
        source, vector = (ir.VectorType(context.get_value_type(t), lanes) for t in (given, kind))
        parts = []
        for first in args[1:3]:
            start = _place(context, builder, signature.args[0], (args[0], first))
            values = builder.load(builder.bitcast(start, source.as_pointer()))
            values.align = given.bitwidth // 8
            parts.append(values if given == kind else builder.fptrunc(values, vector))
        direct = builder.module.add_metadata([ir.IntType(32)(1)])
        for first in (0, lanes // 2):
            order = [first + k // 2 + k % 2 * lanes for k in range(lanes)]
            picked = ir.Constant(ir.VectorType(ir.IntType(32), lanes), order)
            index = builder.add(args[4], ir.Constant(args[4].type, 2 * first))
            start = _place(context, builder, signature.args[3], (args[3], index))
            line = builder.shuffle_vector(*parts, picked)
            store = builder.store(line, builder.bitcast(start, vector.as_pointer()))
            store.align = LINE
            store.set_metadata("nontemporal", direct)
        return context.get_dummy_value()

    return types.void(rows, re, im, out, at), build


@_instruction
def complete_stores(_: Any) -> tuple[Any, Any]:
    """Wait until other threads see what was stored."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), build


def _place(context: Any, builder: Any, kind: Any, args: Any) -> Any:
    array = context.make_array(kind)(context, builder, args[0])
    return builder.gep(array.data, [args[1]])
