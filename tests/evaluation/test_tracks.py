import math

import pytest
import torch

from unweave.errors import ParameterError
from unweave.evaluation import BSSSettings, bss_eval, score_track, sdr, si_sar, si_sdr, si_sir

RATE = 2000


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) / 10


def pair(sources=3):
    true = noise(sources, 2, 3 * RATE)
    return true + 0.2 * true.roll(1, 0) + 0.01 * noise(sources, 2, 3 * RATE, seed=1), true


def named(sources):
    return {f"s{n}": x for n, x in enumerate(sources)}


def test_scores_are_those_of_the_functions():
    e, s = pair()
    kept = e.clone(), s.clone()
    got = score_track(named(e), named(s), sample_rate=RATE, bss=BSSSettings(bits=None))
    windows = bss_eval(e, s, sample_rate=RATE)
    for n, scores in enumerate(got.values()):
        for measure in (sdr, si_sdr):
            assert scores.values[measure.__name__] == pytest.approx(float(measure(e[n], s[n])))
        for measure in (si_sir, si_sar):
            assert scores.values[measure.__name__] == pytest.approx(float(measure(e, s)[n]))
        for name, values in windows._asdict().items():
            torch.testing.assert_close(getattr(scores.frames, name), values[n])
            middle = float(values[n].median())
            assert scores.values[f"bss_{name}"] == pytest.approx(middle)
    assert torch.equal(e, kept[0])
    assert torch.equal(s, kept[1])


def test_silent_stems_have_no_scores_and_harm_no_other():
    e, s = pair(4)
    s[1], e[2] = 0, 0
    got = score_track(named(e), named(s), sample_rate=RATE)
    assert all(math.isnan(x) for x in got["s1"].values.values())
    assert got["s2"].values["sdr"] == 0
    assert math.isnan(got["s2"].values["si_sdr"])
    alone = score_track(named(e[[0, 3]]), named(s[[0, 3]]), sample_rate=RATE)
    for name, one in (("s0", "s0"), ("s3", "s1")):
        assert got[name].values == alone[one].values


def test_what_cancels_between_the_channels_is_silent_for_bsseval_alone():
    e, s = pair(2)
    s[0, 1] = -s[0, 0]
    got = score_track(named(e), named(s), sample_rate=RATE)
    assert math.isfinite(got["s0"].values["si_sdr"])
    assert got["s0"].frames is None
    assert math.isfinite(got["s1"].values["bss_sdr"])


def test_a_track_of_silence_and_a_single_stem():
    e, s = pair(1)
    silent = score_track(named(e), named(0 * s), sample_rate=RATE)
    assert all(math.isnan(x) for x in silent["s0"].values.values())
    alone = score_track(named(e), named(s), sample_rate=RATE, bss=None)
    assert math.isfinite(alone["s0"].values["si_sdr"])
    assert math.isnan(alone["s0"].values["bss_sdr"])


def test_names_and_shapes_must_fit():
    e, s = pair(2)
    with pytest.raises(ParameterError, match="no name in common"):
        score_track({"a": e[0]}, {"b": s[0]}, sample_rate=RATE)
    with pytest.raises(ParameterError, match=r"\(2, 6000\), \(2, 6001\)|\(2, 5999\)"):
        score_track({"a": e[0, :, 1:]}, {"a": s[0]}, sample_rate=RATE)
    got = score_track({"a": e[0], "x": e[1]}, {"a": s[0]}, sample_rate=RATE, bss=None)
    assert list(got) == ["a"]


def test_stems_without_an_estimate_interfere_all_the_same():
    generator = torch.Generator().manual_seed(3)
    true = dict(zip("abc", torch.randn(3, 2, 16000, generator=generator), strict=True))
    made = {name: x + 0.3 * sum(true.values()) for name, x in true.items()}
    whole = score_track(made, true, sample_rate=8000)
    alone = score_track({"b": made["b"]}, true, sample_rate=8000)
    assert list(alone) == ["b"]
    for metric, value in alone["b"].values.items():
        assert value == pytest.approx(whole["b"].values[metric], abs=1e-4)
    assert alone["b"].values["si_sir"] < 20
