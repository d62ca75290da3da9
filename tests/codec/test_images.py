"""Image files: what comes back, columns cut out of JPEG, and files that are refused."""

import importlib.util
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from unweave.codec import _jpeg, _jxl, _png, decode_image, encode_image, images, open_image
from unweave.codec.images import FORMATS, MAX_PIXELS, flat_step
from unweave.errors import CodecError, DependencyError, ParameterError

HAS_JXL = importlib.util.find_spec("pillow_jxl") is not None
HERE = [name for name in FORMATS if name != "jxl" or HAS_JXL]


def smooth(height, width):
    y, x = np.mgrid[:height, :width]
    return np.rint(127 + 90 * np.sin(x / 19) * np.cos(y / 7)).astype(np.uint8)


@pytest.mark.parametrize("format", HERE)
@pytest.mark.parametrize("size", [(1, 1), (8, 24), (37, 53), (64, 200)])
def test_pixels_and_comment_come_back(format, size):
    pixels = smooth(*size)
    file = encode_image(
        pixels, format=format, quality=95, comment='{"text": "é"}'.replace("é", "e")
    )
    header = open_image(file).header
    assert (header.format, header.height, header.width) == (format, *size)
    again, comment = decode_image(file)
    assert comment == '{"text": "e"}'
    assert again.shape == size
    assert np.abs(again.astype(int) - pixels).mean() < 3


@pytest.mark.parametrize("format", ["png", *(["jxl"] if HAS_JXL else []), "webp"])
def test_some_formats_lose_nothing(format):
    pixels = np.random.default_rng(0).integers(0, 256, (33, 41), np.uint8)
    again, _ = decode_image(encode_image(pixels, format=format, quality=100))
    assert np.array_equal(again, pixels)


def test_png_keeps_sixteen_bits():
    pixels = np.random.default_rng(0).integers(0, 2**16, (33, 41)).astype(np.uint16)
    again, comment = decode_image(encode_image(pixels, format="png"))
    assert again.dtype == np.uint16
    assert np.array_equal(again, pixels)
    assert comment is None


@pytest.mark.parametrize("format", HERE)
def test_any_program_can_read_them(format):
    file = encode_image(smooth(40, 50), format=format, comment="{}")
    with Image.open(io.BytesIO(file)) as image:
        assert image.size == (50, 40)
        image.load()
        if format != "jxl":
            assert image.getexif().get_ifd(0x8769)[0x9286].startswith(b"ASCII\0\0\0{}")


def test_the_comment_of_another_programs_exif_is_read():
    exif = Image.Exif()
    exif[0x0131] = "a program with other entries"
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "tête".encode("utf-16-be")
    buffer = io.BytesIO()
    with Image.new("L", (8, 8)) as image:
        image.save(buffer, "JPEG", exif=exif)
    assert open_image(buffer.getvalue()).header.comment == "tête"


@pytest.mark.parametrize(("quality", "step"), [(0, 255), (50, 16), (75, 8), (90, 3), (100, 1)])
def test_the_quantization_table_is_flat(quality, step):
    assert flat_step(quality) == step
    with Image.open(io.BytesIO(encode_image(smooth(16, 16), quality=quality))) as image:
        assert set(image.quantization[0]) == {step}


def test_columns_of_jpeg_are_those_of_the_whole():
    width = _jpeg.interval(1200)[1]
    pixels = np.random.default_rng(0).integers(0, 256, (40, width)).astype(np.uint8)
    file = encode_image(pixels)
    whole, _ = decode_image(file)
    image = open_image(file)
    header = _jpeg.parse(file)
    for first, last in [(0, 1), (0, width), (255, 257), (500, 900), (width - 1, width)]:
        assert np.array_equal(image.pixels(first, last), whole[:, first:last])
        part, own, at = _jpeg.columns(file, header, first, last)
        assert own == _jpeg.parse(part)
        assert at <= first
        with Image.open(io.BytesIO(part)) as cut:  # a file that any program can read
            assert cut.size[0] <= last - first + 2 * header.interval * 8
            assert np.array_equal(np.asarray(cut), whole[:, at : at + cut.size[0]])
    small, *_ = _jpeg.columns(file, header, 500, 501)
    assert len(small) < len(file) / 3


@pytest.mark.parametrize("height", [8, 15, 64, 333])
@pytest.mark.parametrize("width", [24, 520, 1200])
def test_rows_of_jpeg_are_those_of_the_whole(height, width):
    width = _jpeg.interval(width)[1]
    pixels = np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint8)
    file = encode_image(pixels)
    header = _jpeg.parse(file)
    with Image.open(io.BytesIO(file)) as image:
        whole = np.asarray(image)
    for count in (1, 2, 3, 100):
        groups = _jpeg._row_groups(file, header, count)
        assert 1 <= len(groups) <= count
        ends = [first for first, _ in groups[1:]] + [height]
        for (first, part), last in zip(groups, ends, strict=True):
            with Image.open(io.BytesIO(part)) as cut:  # a file that any program can read
                assert np.array_equal(np.asarray(cut), whole[first:last])
    two = [len(part) for _, part in _jpeg._row_groups(file, header, 2)]
    assert len(two) == 1 or height < 100 or max(two) < 1.4 * min(two)


@settings(deadline=None)
@given(frames=st.integers(1, 65_000))
def test_every_width_has_an_interval_that_divides_it(frames):
    size, width = _jpeg.interval(frames)
    assert _jpeg.interval(width) == (size, width)
    assert width % (8 * size) == 0
    assert frames <= width < 1.04 * frames + 8
    assert size <= 64


def test_missing_restart_markers_are_noticed():
    width = _jpeg.interval(1200)[1]
    file = encode_image(smooth(40, width))
    at = file.index(b"\xff\xd3", _jpeg.parse(file).scan)
    broken = file[:at] + file[at + 2 :]
    with pytest.raises(CodecError, match="restart markers are missing"):
        open_image(broken).pixels(0, 5)
    with pytest.raises(CodecError):
        open_image(broken).pixels(0, width)


def test_pillow_decodes_what_simplejpeg_would(monkeypatch):
    file = encode_image(smooth(40, 700))
    fast, _ = decode_image(file)
    monkeypatch.setattr(_jpeg, "_simplejpeg", lambda: None)
    assert np.array_equal(decode_image(file)[0], fast)
    with pytest.raises(CodecError, match="damaged"):
        decode_image(file[:-200])


def coarse(height=64, width=200, comment="{}"):
    """Give pixels of 32 levels, and the file of them, which has no filters."""
    pixels = smooth(height, width) & 0xF8
    return pixels, encode_image(pixels, format="png", comment=comment)


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (64, 3000)])
@pytest.mark.parametrize("isal", [True, False])
def test_png_of_few_levels_needs_only_inflating(size, isal, monkeypatch):
    if not isal:
        monkeypatch.setattr(_png, "_inflater", lambda: zlib)
    pixels, file = coarse(*size)
    with Image.open(io.BytesIO(file)) as image:
        assert np.array_equal(np.asarray(image), pixels)
        assert image.getexif()
    monkeypatch.setattr(images, "_grey", lambda _: pytest.fail("Pillow is slow"))
    again, comment = decode_image(file)
    assert np.array_equal(again, pixels)
    assert comment == "{}"


def test_png_of_other_kinds_is_left_to_pillow():
    pixels = coarse()[0]
    for image in (
        Image.fromarray(pixels).convert("RGB"),
        Image.fromarray(pixels.astype(np.uint16)),
        Image.fromarray(smooth(64, 200)),
    ):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        assert _png.decode(buffer.getvalue(), 200, 64) is None
        assert decode_image(buffer.getvalue())[0].shape == (64, 200)
    rows = np.zeros((64, 201), np.uint8)
    rows[:, 1:] = smooth(64, 200)
    rows[-1, 0] = 2  # the last row alone is filtered
    assert _png.decode(png(rows.tobytes()), 200, 64) is None


def png(rows, width=200, height=64):
    """Make a PNG file of rows that begin with their filters."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_changed_bits_of_a_coarse_png_are_noticed():
    _, file = coarse()
    at = file.index(b"IDAT") + 60
    broken = file[:at] + bytes([file[at] ^ 4]) + file[at + 1 :]
    with pytest.raises(CodecError, match="IDAT"):
        open_image(broken).pixels(0, 200)


@pytest.mark.parametrize("size", [64 * 201 - 1, 64 * 201 + 1, 2**26])
@pytest.mark.parametrize("isal", [True, False])
def test_png_that_inflates_to_another_size_is_refused(size, isal, monkeypatch):
    if not isal:
        monkeypatch.setattr(_png, "_inflater", lambda: zlib)
    with pytest.raises(CodecError, match="size it states"):
        _png.decode(png(bytes(size)), 200, 64)


@pytest.mark.parametrize("format", HERE)
def test_truncated_files_are_refused(format):
    file = encode_image(smooth(64, 200), format=format, comment="x" * 50)
    _refuses_parts(file)


def test_a_truncated_coarse_png_is_refused():
    _refuses_parts(coarse(comment="x" * 50)[1])


def _refuses_parts(file):
    for keep in (0, 2, 11, 40, len(file) // 2, len(file) - 40):
        with pytest.raises(CodecError):
            decode_image(file[:keep])


def test_foreign_files_are_refused():
    for foreign in (b"", b"RIFF....WAVEfmt ", b"GIF89a" + bytes(50), b"\x93NUMPY"):
        with pytest.raises(CodecError, match="no image of"):
            decode_image(foreign)
    buffer = io.BytesIO()
    with Image.new("P", (8, 8)) as image:
        image.save(buffer, "PNG")
    with pytest.raises(CodecError, match="mode 'P'"):
        decode_image(buffer.getvalue())
    with Image.new("CMYK", (8, 8)) as image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG")
    with pytest.raises(CodecError, match="4 components"):
        decode_image(buffer.getvalue())


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def test_decompression_bombs_are_refused_before_decoding():
    bomb = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bomb) + chunk(b"IDAT", zlib.compress(bytes(99)))
    jpeg = bytearray(encode_image(smooth(8, 8)))
    at = _jpeg.parse(bytes(jpeg)).frame + 5
    jpeg[at : at + 4] = b"\xff" * 4
    for file in (png, bytes(jpeg)):
        with pytest.raises(CodecError):
            open_image(file)
    with pytest.raises(CodecError, match=f"1 to {MAX_PIXELS} pixels"):
        open_image(bytes(jpeg))


@pytest.mark.parametrize("size", [(1, 1), (8, 16), (256, 512), (300, 20), (743, 863)])
@pytest.mark.skipif(not HAS_JXL, reason="needs the JPEG XL plugin")
def test_the_size_of_jpeg_xl_is_read_without_decoding(size):
    for comment in ("", "x"):  # bare, and in boxes
        file = encode_image(smooth(*size), format="jxl", comment=comment)
        assert _jxl.size(file) == size[::-1]


def test_a_jpeg_xl_bomb_is_refused():
    pytest.importorskip("pillow_jxl")
    bits = 0 | 3 << 1 | (2**30 - 1) << 3 | 0 << 33 | 3 << 36 | (2**30 - 1) << 38
    with pytest.raises(CodecError, match="1073741824 x 1073741824"):
        open_image(b"\xff\x0a" + bits.to_bytes(10, "little") + bytes(50))


def test_jpeg_xl_without_its_plugin_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_jxl", None)
    for call in (
        lambda: encode_image(smooth(8, 8), format="jxl"),
        lambda: open_image(b"\xff\x0a" + bytes(50)),
    ):
        with pytest.raises(DependencyError, match=r"unweave\[codec\]"):
            call()


def test_a_pillow_without_avif_is_named(monkeypatch):
    file = encode_image(smooth(8, 8), format="avif")
    monkeypatch.setattr(features, "check", lambda name: False)
    for call in (lambda: encode_image(smooth(8, 8), format="avif"), lambda: open_image(file)):
        with pytest.raises(DependencyError, match="built without avif"):
            call()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: encode_image(smooth(8, 8), format="gif"), "format='gif'"),
        (lambda: encode_image(smooth(8, 8), quality=101), "quality=101"),
        (lambda: encode_image(smooth(8, 8).astype(np.uint16)), "dtype uint16"),
        (lambda: encode_image(np.zeros((8, 8, 2), np.uint8)), r"\(8, 8, 2\)"),
        (lambda: encode_image(np.zeros((1, 70_000), np.uint8)), "too large: jpeg takes 65535"),
        (lambda: encode_image(np.zeros((0, 8), np.uint8)), "8 x 0"),
    ],
)
def test_wrong_parameters_are_refused(call, text):
    with pytest.raises(ParameterError, match=text):
        call()
