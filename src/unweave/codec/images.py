"""Image files of spectrograms: grey or red-green pixels with one comment, in five formats."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unweave.codec import _exif, _jpeg, _jxl, _png
from unweave.codec._jpeg import FAULTS, Pixels
from unweave.errors import CodecError, DependencyError, ParameterError

FORMATS = ("jpeg", "png", "webp", "avif", "jxl")
MAX_PIXELS = 1024**3 // 12  # what Pillow, too, opens without a warning
_MAX_SIDE = {"jpeg": 65_535, "webp": 16_383, "avif": 65_535, "png": 2**31 - 1, "jxl": 2**30}
_FLAT = 16  # every coefficient's step at quality 50; 8 at 75, 3 at 90


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself before it is decoded.

    Attributes:
        format: One of `FORMATS`.
        width: Columns.
        height: Rows.
        colours: Whether it has three colours, or is grey.
        comment: Its Exif user comment; None if it has none.
    """

    format: str
    width: int
    height: int
    colours: bool
    comment: str | None


class ImageData:
    """An image file in memory whose header was read.

    Args:
        header: Its header.
        load: Decodes the columns first ... last - 1; gives pixels and the first column it decoded.
    """

    def __init__(self, header: ImageHeader, load: Callable[[int, int], tuple[Pixels, int]]) -> None:
        self.header = header
        self._load = load

    def pixels(self, first: int, last: int) -> Pixels:
        """Decode some columns."""
        pixels, at = self._load(first, last)
        colours = self.header.colours
        right = pixels.ndim == 2 + colours and pixels.shape[0] == self.header.height
        if not right or pixels.shape[1] < last - at:
            raise CodecError("the image is damaged: its pixels do not have the size it states")
        return pixels[:, first - at : last - at]


def encode_image(
    pixels: Pixels,
    *,
    format: str = "jpeg",
    quality: int = 75,
    comment: str = "",
    standard_tables: bool = False,
) -> bytes:
    """Write pixels as an image file.

    JPEG files have a flat quantization table, 16 at quality 50, 8 at 75, 3 at 90, and restart
    markers where the width lets them, so that columns can be decoded alone. PNG files of at most 64
    levels have no filters, so that they are decoded several times as fast.

    Args:
        pixels: Grey values in uint8, or in uint16 for PNG; (height, width, 3) for colours.
        format: "jpeg", "png" (lossless), "webp", "avif" or "jxl" (JPEG XL).
        quality: 0 to 100, the higher the better; unused for PNG. 100 is lossless for webp and jxl.
        comment: ASCII text for the Exif user comment.
        standard_tables: Whether JPEG takes the tables for photographs instead of the flat one.

    Returns:
        The file.

    Raises:
        ParameterError: The image is too large for the format, or has the wrong dtype or axes.
        DependencyError: "jxl" without its plugin.

    Example:
        >>> file = encode_image(np.zeros((16, 24), np.uint8), comment="silence")
        >>> decode_image(file)[0].shape, open_image(file).header.comment
        ((16, 24), 'silence')
    """
    if format not in FORMATS:
        raise ParameterError(f"format={format!r} must be one of {FORMATS}")
    check_quality(quality)
    _check_pixels(pixels, format)
    from PIL import Image

    _need(format)
    if format == "png" and _png.is_coarse(pixels):
        return _png.encode(pixels, _exif.build(comment) if comment else b"")
    options: dict[str, Any] = {"exif": _exif.build(comment)} if comment else {}
    if format == "jpeg":
        options |= _jpeg_options(pixels, quality, standard_tables)
    elif format == "webp":
        pixels = _colours(pixels)
        options |= {"quality": quality, "lossless": quality == 100, "exact": True}
    elif format == "avif":
        options |= {"quality": quality, "speed": 8, "subsampling": "4:4:4"}
        if pixels.ndim == 2:
            options["subsampling"] = "4:0:0"
    elif format == "jxl":
        options |= {"quality": quality, "lossless": quality == 100, "effort": 3}
    buffer = io.BytesIO()
    with Image.fromarray(np.ascontiguousarray(pixels)) as image:
        image.save(buffer, format.upper(), **options)
    return buffer.getvalue()


def _jpeg_options(pixels: Pixels, quality: int, standard_tables: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"optimize": True, "subsampling": 0}
    if standard_tables:
        options["quality"] = quality
    else:
        options["qtables"] = [[flat_step(quality)] * 64]
        blocks, width = _jpeg.interval(pixels.shape[1])
        if width == pixels.shape[1] and pixels.ndim == 2:
            options["restart_marker_blocks"] = blocks
    return options


def flat_step(quality: int) -> int:
    """Give the step of the flat table, by the rule that libjpeg scales its own tables with."""
    percent = 200 - 2 * quality if quality >= 50 else 5000 / max(1, quality)
    return min(255, max(1, round(_FLAT * percent / 100)))


def decode_image(data: bytes) -> tuple[Pixels, str | None]:
    """Decode an image file of one of our formats.

    Args:
        data: The file.

    Returns:
        Pixels, grey (height, width) or colours (height, width, 3), and the user comment.

    Raises:
        CodecError: It is no such image, is damaged or far too large.
        DependencyError: It is JPEG XL, and the plugin is missing.

    Example:
        >>> pixels, comment = decode_image(encode_image(np.eye(3, dtype=np.uint16), format="png"))
        >>> pixels.dtype, int(pixels.sum()), comment
        (dtype('uint16'), 3, None)
    """
    image = open_image(data)
    return image.pixels(0, image.header.width), image.header.comment


def open_image(data: bytes) -> ImageData:
    """Read the header of an image file, so that absurd sizes are refused before decoding.

    Args:
        data: The file.

    Returns:
        The image, not yet decoded.

    Raises:
        CodecError: It is no such image, is damaged or far too large.
        DependencyError: It is JPEG XL, and the plugin is missing.

    Example:
        >>> open_image(encode_image(np.zeros((8, 9), np.uint8), format="png")).header.width
        9
    """
    format = _format(data)
    if format == "jpeg":
        return _open_jpeg(data)
    _need(format)
    if format == "jxl":
        _check_stated(*_jxl.size(data))
    from PIL import Image, UnidentifiedImageError

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        image = Image.open(io.BytesIO(data), formats=[format.upper()])
    except (UnidentifiedImageError, *bombs, *FAULTS) as error:
        raise CodecError(f"the {format} image is damaged: {_reason(error)}") from error
    _check_stated(*image.size)
    exif = image.info.get("exif")
    comment = _exif.user_comment(exif) if isinstance(exif, bytes) else None
    header = ImageHeader(format, *image.size, False, comment)

    def load(first: int, last: int) -> tuple[Pixels, int]:
        found = _png.decode(data, *image.size) if format == "png" else None
        if found is not None:
            return found, 0
        try:
            return _grey(image), 0
        except FAULTS as error:
            raise CodecError(f"the {format} image is damaged: {_reason(error)}") from error

    return ImageData(header, load)


def _open_jpeg(data: bytes) -> ImageData:
    found = _jpeg.parse(data)
    _check_stated(found.width, found.height)
    if found.components not in (1, 3):
        raise CodecError(f"the JPEG file has {found.components} components: 1 or 3 are wanted")
    comment = _exif.user_comment(found.exif)
    header = ImageHeader("jpeg", found.width, found.height, found.components == 3, comment)

    def load(first: int, last: int) -> tuple[Pixels, int]:
        part, header, at = _jpeg.columns(data, found, first, last)
        return _jpeg.decode(part, header), at

    return ImageData(header, load)


def _reason(error: Exception) -> str:
    """Give the first line of what a decoder says."""
    return str(error).partition("\n")[0].strip() or type(error).__name__


def _grey(image: Any) -> Pixels:
    """Give grey pixels; formats without grey hold three equal colours."""
    if image.mode in ("RGB", "RGBA"):
        return np.asarray(image)[:, :, 1]
    if image.mode in ("L", "I;16"):
        return np.asarray(image)
    raise CodecError(f"the image has pixels of mode {image.mode!r}: grey ones are wanted")


def _colours(pixels: Pixels) -> Pixels:
    return np.repeat(pixels[:, :, None], 3, 2) if pixels.ndim == 2 else pixels


def _format(data: bytes) -> str:
    if data[:2] == b"\xff\xd8":
        return "jpeg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:12] == b"ftypavif":
        return "avif"
    if data.startswith(_jxl.SIGNATURES):
        return "jxl"
    raise CodecError(f"this is no image of {', '.join(FORMATS)}: a spectrogram image is one")


def _check_stated(width: int, height: int) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise CodecError(
            f"the image states a size of {width} x {height}: 1 to {MAX_PIXELS} pixels are decoded"
        )


def _check_pixels(pixels: Pixels, format: str) -> None:
    deep = pixels.dtype == np.uint16 and format == "png" and pixels.ndim == 2
    if not (pixels.dtype == np.uint8 or deep) or pixels.shape[2:] not in ((), (3,)):
        raise ParameterError(
            f"pixels of shape {pixels.shape} and dtype {pixels.dtype} must be (height, width) or"
            " (height, width, 3) in uint8, or (height, width) in uint16 for png"
        )
    check_size(pixels.shape[1], pixels.shape[0], format)


def check_size(width: int, height: int, format: str) -> None:
    """Raise unless a format takes images of a size."""
    side = _MAX_SIDE[format]
    if not 0 < width * height <= MAX_PIXELS or max(width, height) > side:
        raise ParameterError(
            f"an image of {width} x {height} pixels is too large: {format} takes {side} a side, and"
            f" {MAX_PIXELS} in all; format='jpeg' takes audio of any length"
        )


def check_quality(quality: int) -> None:
    """Raise unless the quality is a whole number from 0 to 100."""
    if isinstance(quality, bool) or not isinstance(quality, int) or not 0 <= quality <= 100:
        raise ParameterError(f"quality={quality!r} must be an integer from 0 to 100")


def _need(format: str) -> None:
    """Raise unless the coder of a format is there."""
    if format == "jxl":
        try:
            import pillow_jxl  # noqa: F401 - registers itself with Pillow
        except ImportError as error:
            raise DependencyError(
                "JPEG XL images need a plugin: pip install 'unweave[codec]'"
            ) from error
    from PIL import features

    if format in ("avif", "webp") and not features.check(format):
        raise DependencyError(
            f"this Pillow was built without {format}: pip install --force-reinstall pillow"
        )
