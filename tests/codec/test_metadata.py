"""What files say of themselves: every value is checked before it is believed."""

import json

import numpy as np
import pytest
import torch

from unweave.codec import SpectrogramCodec, encode_image
from unweave.codec.metadata import CODEC_VERSION, parse_comment, read_info
from unweave.errors import CodecError

AUDIO = torch.randn(2, 9000, generator=torch.Generator().manual_seed(0))
FILE = SpectrogramCodec(n_fft=64, hop_length=32, format="png").encode(AUDIO, sample_rate=44_100)
INFO = SpectrogramCodec().info(FILE)


def values():
    return json.loads(INFO.comment())["unweave"]


def test_a_comment_says_what_it_was_written_from():
    assert read_info(parse_comment(INFO.comment())) == INFO
    assert INFO.version == CODEC_VERSION


@pytest.mark.parametrize("name", list(values()))
@pytest.mark.parametrize("wrong", [None, "x", -1, True, 1e99, [], [1], {}, float("nan"), "hann"])
def test_impossible_values_are_refused(name, wrong):
    changed = values() | {name: wrong}
    legal = (name in ("center", "colours") and wrong is True) or (name, wrong) == ("window", "hann")
    if legal:
        assert getattr(read_info({"unweave": changed}), name) == wrong
        return
    with pytest.raises(CodecError, match=name):
        read_info({"unweave": changed})


@pytest.mark.parametrize("name", list(values()))
def test_missing_values_are_refused(name):
    changed = values()
    del changed[name]
    with pytest.raises(CodecError, match=name):
        read_info({"unweave": changed})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": 3}, "format version 3; this unweave reads 1 and 2"),
        ({"version": True}, "format version True"),
        ({"version": 2}, "lacks 'part'"),
        ({"version": 2, "part": 1, "part_frames": 0}, "part_frames=0, which cannot be"),
        ({"version": 2, "part": 1, "part_frames": 2**20}, "its parts cannot be"),
        ({"version": 2, "part": 0, "part_frames": 1, "frames": 4001}, "its parts cannot be"),
        ({"bounds": [1.0, 0.0]}, "contradicts itself"),
        ({"bins": 34}, "contradicts itself"),
        ({"colours": True, "channels": 3}, "only two channels"),
        ({"frames": 2**27, "channels": 4096}, "JPEG takes long audio"),
    ],
)
def test_contradictions_are_refused(changes, text):
    with pytest.raises(CodecError, match=text):
        read_info({"unweave": values() | changes})


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (None, "no Exif user comment"),
        ("nothing", "no JSON"),
        ("[" * 5000, "no JSON"),
        ("[1]", "no JSON object"),
        ("{" + " " * 20_000, "letters"),
    ],
)
def test_foreign_comments_are_refused(comment, text):
    with pytest.raises(CodecError, match=text):
        parse_comment(comment)


def test_an_image_without_metadata_is_refused():
    pixels = np.zeros((48, 40), np.uint8)
    for format in ("jpeg", "png", "webp", "avif"):
        with pytest.raises(CodecError, match="has no Exif user comment"):
            SpectrogramCodec().decode(encode_image(pixels, format=format))
        with pytest.raises(CodecError, match="has no 'unweave'"):
            SpectrogramCodec().decode(encode_image(pixels, format=format, comment="{}"))


@pytest.mark.parametrize("law", ["log", "power", "log1p"])
def test_levels_beyond_all_floats_are_refused(law):
    changed = values() | {"law": law, "bounds": [0.0, 1e30]}
    comment = json.dumps({"unweave": changed})
    for bits in (8, 16):
        changed["bits"] = bits
        pixels = np.zeros((66, INFO.frames), np.uint8 if bits == 8 else np.uint16)
        comment = json.dumps({"unweave": changed | {"rows": 33}})
        with pytest.raises(CodecError, match="too loud to be true"):
            SpectrogramCodec().decode(encode_image(pixels, format="png", comment=comment))
