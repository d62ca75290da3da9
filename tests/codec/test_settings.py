"""Settings and presets: what fits together, and what another format keeps."""

import importlib.util
import json
from dataclasses import asdict

import pytest

from unweave.codec import PRESETS, CodecSettings, SpectrogramCodec, preset_settings
from unweave.errors import ParameterError
from unweave.evaluation import sdr

RATE = 44_100
HAS_JXL = importlib.util.find_spec("pillow_jxl") is not None
FORMATS = ["jpeg", "webp", "avif", *(["jxl"] if HAS_JXL else [])]


def test_settings_can_be_written_down():
    assert CodecSettings() == PRESETS["balanced"]
    assert json.loads(json.dumps(asdict(PRESETS["small"])))["format"] == "avif"


@pytest.mark.parametrize("preset", ["small", "balanced", "transparent"])
@pytest.mark.parametrize("format", FORMATS)
def test_presets_in_other_formats_keep_as_much(preset, format, music):
    own, other = (
        float(sdr(codec.resynthesise(codec.encode(music, sample_rate=RATE), mixture=music), music))
        for codec in (SpectrogramCodec(preset), SpectrogramCodec(preset, format=format))
    )
    assert abs(own - other) < 2.5


def test_a_quality_that_is_given_is_taken():
    assert preset_settings("balanced", format="webp", quality=33).quality == 33
    assert preset_settings("balanced", format="png", bits=12).quality == 75


@pytest.mark.parametrize("highest", [-3.0, float("nan"), float("inf")])
def test_frequencies_that_cannot_be_are_refused_at_once(highest):
    with pytest.raises(ParameterError, match="max_frequency="):
        SpectrogramCodec(max_frequency=highest)
