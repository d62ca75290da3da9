"""What blocks shared by threads give has the same bits on one thread and on several.

Work that is too small to share is left to torch, whose matrix products may round differently on
more threads; so do the last product of `mfcc` and the sums of `icqt` over long signals.
"""

import pytest
import torch

from unweave import transforms as T

RATE = 22_050
SHORT = {"n_fft": 1024, "hop_length": 256}


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=dtype)


def of_spectra(function, **options):
    return lambda x: function(T.stft(x, **SHORT, output="magnitude"), **options)


TRANSFORMS = {
    "stft": lambda x: T.stft(x, **SHORT),
    "stft of one hop in 32": lambda x: T.stft(x[..., :9000], n_fft=512, hop_length=16),
    "log-spaced": T.STFT(
        **SHORT, freq_scale="log", fmin=50, fmax=6000, sample_rate=RATE, output="magnitude"
    ),
    "round trip": lambda x: T.istft(T.stft(x, **SHORT), hop_length=256, length=x.shape[-1]),
    "round trip of one hop in 32": lambda x: T.istft(
        T.stft(x[..., :9000], n_fft=512, hop_length=16), hop_length=16, length=9000
    ),
    "mel": T.MelSpectrogram(sample_rate=RATE, **SHORT),
    "gammatone": T.Gammatonegram(sample_rate=RATE, **SHORT),
    "cqt": T.CQT(sample_rate=RATE),
    "vqt": T.VQT(sample_rate=RATE, gamma=5, pad_mode="reflect"),
    "nsgt": T.NSGT(sample_rate=RATE),
    "insgt": lambda x: T.NSGT(sample_rate=RATE).inverse(
        T.NSGT(sample_rate=RATE)(x), length=x.shape[-1]
    ),
    "icqt": lambda x: T.icqt(
        T.cqt(x[..., :40_000], sample_rate=RATE), sample_rate=RATE, n_iter=1, length=40_000
    ),
    "griffinlim": of_spectra(T.griffinlim, n_iter=3, init="zero", hop_length=256),
    "medians": lambda x: torch.stack(of_spectra(T.median_magnitudes, kernel_size=9)(x)),
}


@pytest.mark.parametrize("shape", [(20, 40_000), (1, 900_000)], ids=["batch", "song"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_same_bits_whatever_the_number_of_threads(name, shape):
    x, results = noise(*shape), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(TRANSFORMS[name](x))
    assert torch.equal(results[1], results[0])
    assert torch.equal(results[2], results[0])


def test_trained_layers_record_nothing_in_threads_without_gradients():
    torch.set_num_threads(2)
    layer = T.STFT(n_fft=512, trainable_window=True, output="magnitude")
    x = noise(8, 60_000)
    with torch.no_grad():
        quiet = layer(x)
    assert not quiet.requires_grad
    torch.testing.assert_close(quiet, layer(x).detach(), rtol=1e-5, atol=1e-5)


def test_inference_mode_reaches_the_threads():
    torch.set_num_threads(2)
    x = noise(8, 60_000)
    with torch.inference_mode():
        seen = T.mel_spectrogram(x, sample_rate=RATE, **SHORT)
    assert torch.equal(seen, T.mel_spectrogram(x, sample_rate=RATE, **SHORT))


def test_runs_of_inverse_frames_join_without_a_seam():
    torch.set_num_threads(2)
    x = noise(1, 200_000, dtype=torch.float64)
    for n_fft, hop in ((2048, 512), (512, 20), (400, 300), (1024, 1024)):
        window = "ones" if hop == n_fft else "hann"
        spec = T.stft(x, n_fft=n_fft, hop_length=hop, window=window)
        again = T.istft(spec, hop_length=hop, window=window, length=200_000)
        assert (again - x).abs().max() < 1e-10
