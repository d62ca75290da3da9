import pytest
import torch

from unweave.errors import ParameterError
from unweave.evaluation import baseline, baselines, sdr
from unweave.filtering import ideal_binary_mask, ideal_ratio_mask
from unweave.transforms import istft, stft


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) / 10


@pytest.mark.parametrize("length", [1, 4095, 30_000, 65_536, 70_001])
@pytest.mark.parametrize("name", ["irm", "ibm"])
def test_masks_in_pieces_are_those_of_the_whole(name, length, monkeypatch):
    monkeypatch.setattr(baselines, "_FRAMES", 16)
    stems = noise(2, 2, length)
    mixture = stems.sum(0)
    got = torch.stack(list(baseline(name, mixture, {"a": stems[0], "b": stems[1]}).values()))
    # Silence around the whole, as around the pieces: the rest of the edges is a matter of taste.
    padded = torch.nn.functional.pad(stems, (4096, 4096))
    s, x = (stft(y, n_fft=4096, hop_length=1024) for y in (padded, padded.sum(0)))
    made = ideal_binary_mask(s, x) if name == "ibm" else ideal_ratio_mask(s, x, alpha=2.0)
    whole = istft(made, n_fft=4096, hop_length=1024, length=length + 8192)[..., 4096:-4096]
    if name == "irm":
        torch.testing.assert_close(got, whole, atol=1e-5, rtol=1e-4)
    else:  # where stems are equally loud, rounding decides
        assert float(sdr(got.flatten(0, 1), whole.flatten(0, 1))) > 40


def test_doing_nothing():
    stems = {"a": noise(1, 9), "b": noise(1, 9, seed=1)}
    mixture = sum(stems.values())
    assert torch.equal(baseline("mixture", mixture, stems)["b"], mixture)
    assert torch.equal(baseline("split", mixture, stems)["b"], mixture / 2)


def test_masks_beat_doing_nothing():
    stems = {
        "a": noise(1, 20_000).cumsum(-1) / 50,
        "b": noise(1, 20_000, seed=1).diff(prepend=torch.zeros(1, 1)),
    }
    mixture = sum(stems.values())
    for name in ("irm", "ibm"):
        made = baseline(name, mixture, stems)
        assert all(float(sdr(made[n], stems[n])) > 5 + float(sdr(mixture, stems[n])) for n in stems)


def test_others_are_unknown():
    with pytest.raises(ParameterError, match="must be one of mixture, split, irm, ibm"):
        baseline("magic", torch.zeros(1, 9), {"a": torch.zeros(1, 9)})
