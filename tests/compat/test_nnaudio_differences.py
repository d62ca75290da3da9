"""Every deliberate difference from nnAudio: what is right is tested, and that nnAudio is not."""

import inspect

import pytest
import torch

from unweave.compat.nnaudio import features
from unweave.errors import ParameterError

NOISE = torch.randn(1, 44100, generator=torch.Generator().manual_seed(0))


def relative(result, expected):
    """Relative error away from the ends of the signal, which are mirrored at several rates."""
    margin = expected.shape[-1] // 5
    inner = slice(margin, -margin)
    error = (result - expected)[..., inner]
    return float(error.norm() / expected[..., inner].norm())


@torch.no_grad()
@pytest.mark.parametrize("n_bins", [24, 36, 48])
@pytest.mark.parametrize("normalisation", ["librosa", "convolutional"])
def test_early_downsampling_changes_no_loudness(peer, silently, n_bins, normalisation):
    direct = features.CQT1992v2(n_bins=n_bins)(NOISE, normalization_type=normalisation)
    layer = features.CQT2010v2(n_bins=n_bins)
    assert layer.earlydownsample
    assert relative(layer(NOISE, normalization_type=normalisation), direct) < 0.02
    theirs = silently(lambda: peer.CQT2010v2(n_bins=n_bins))
    wrong = silently(lambda: theirs(NOISE, normalization_type=normalisation))
    assert relative(wrong, direct) > 1


@torch.no_grad()
def test_early_downsampling_of_cqt2010_is_not_too_quiet(peer, silently):
    direct = features.CQT1992v2(n_bins=24)(NOISE)
    assert relative(features.CQT2010(n_bins=24)(NOISE), direct) < 0.02
    theirs = silently(lambda: peer.CQT2010(n_bins=24))
    assert relative(silently(lambda: theirs(NOISE)), direct) > 0.5


@torch.no_grad()
def test_early_downsampling_does_not_ruin_vqt(peer, silently):
    direct = features.CQT1992v2(n_bins=24)(NOISE)
    theirs = silently(lambda: peer.VQT(n_bins=24))
    ours = features.VQT(n_bins=24)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert relative(ours(NOISE), direct) < 0.02
    assert relative(silently(lambda: theirs(NOISE)), direct) > 0.4


@torch.no_grad()
@pytest.mark.parametrize("hop_length", [441, 480, 500, 99])
@pytest.mark.parametrize("name", ["CQT2010", "CQT2010v2", "VQT"])
def test_every_hop_works(name, hop_length):
    direct = features.CQT1992v2(hop_length=hop_length)(NOISE)
    result = getattr(features, name)(hop_length=hop_length)(NOISE)
    assert result.shape == direct.shape
    assert relative(result, direct) < 0.02


@torch.no_grad()
@pytest.mark.parametrize("name", ["CQT2010", "CQT2010v2", "VQT"])
def test_frames_between_samples_have_the_right_phase(name):
    """A tone turns by the same angle from each frame to the next, in every octave."""
    for frequency in (261.6, 523.25):  # of the lowest and of the top octave
        tone = torch.sin(2 * torch.pi * frequency * torch.arange(44100) / 22050)[None]
        layer = getattr(features, name)(fmin=261.6, n_bins=24, hop_length=441)
        bin_ = int(layer(tone)[0, :, 50].argmax())
        real, imag = layer(tone, "Complex")[0, bin_, 10:-10].unbind(-1)
        phase = torch.complex(real, -imag if name == "CQT2010" else imag)
        turns = (phase[1:] * phase[:-1].conj()).angle()
        expected = 2 * torch.pi * frequency * 441 / 22050
        error = torch.remainder(turns - expected + torch.pi, 2 * torch.pi) - torch.pi
        assert float(error.abs().max()) < 0.01


@torch.no_grad()
def test_nnaudio_fails_at_other_hops(peer, silently):
    theirs = silently(lambda: peer.CQT2010v2(hop_length=441))
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        silently(lambda: theirs(NOISE))
    theirs = silently(lambda: peer.VQT(hop_length=441))
    direct = features.CQT1992v2(hop_length=441)(NOISE)
    assert relative(silently(lambda: theirs(NOISE)), direct) > 0.2


@torch.no_grad()
@pytest.mark.parametrize("name", ["CQT2010", "CQT2010v2", "VQT"])
def test_less_than_an_octave_is_in_tune(peer, silently, name):
    arguments = {"fmin": 440, "n_bins": 6, "earlydownsample": False}
    direct = features.CQT1992v2(fmin=440, n_bins=6)(NOISE)
    assert relative(getattr(features, name)(**arguments)(NOISE), direct) < 1e-4
    theirs = silently(lambda: getattr(peer, name)(**arguments, verbose=False))
    assert relative(silently(lambda: theirs(NOISE)), direct) > 0.3


@torch.no_grad()
@pytest.mark.parametrize("name", ["CQT2010", "CQT2010v2", "VQT"])
def test_window_and_fmax_are_heeded(peer, silently, name):
    ours = getattr(features, name)(fmin=220, fmax=880, window="blackman", earlydownsample=False)
    direct = features.CQT1992v2(fmin=220, fmax=880, window="blackman")(NOISE)
    assert relative(ours(NOISE), direct) < 0.02
    with pytest.raises(ValueError, match="exceeded the Nyquist"):  # with its 84 bins
        silently(lambda: getattr(peer, name)(fmin=220, fmax=880, verbose=False))
    theirs = silently(lambda: getattr(peer, name)(window="blackman", verbose=False))
    hann = silently(lambda: getattr(peer, name)(verbose=False))
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, hann.state_dict()[key])


@torch.no_grad()
def test_the_default_of_cqt1992_has_the_bins_that_fit(peer, silently):
    with pytest.raises(ValueError, match="exceeded the Nyquist"):
        silently(peer.CQT1992)
    layer = features.CQT1992()
    assert layer.frequencies[-1] < 11025 < layer.frequencies[-1] * 2 ** (1 / 12)
    with pytest.raises(ParameterError, match="at most 68 bins fit"):
        features.CQT1992(n_bins=84)
    assert inspect.signature(features.CQT1992).parameters["n_bins"].default == 84


@torch.no_grad()
def test_the_phase_of_cqt1992_is_that_of_its_complex_format(peer, silently):
    ours, theirs = features.CQT1992(n_bins=48), silently(lambda: peer.CQT1992(n_bins=48))
    for layer, sign in ((ours, 1), (theirs, -1)):
        complex_, phase = layer(NOISE, "Complex"), layer(NOISE, "Phase")
        unit = complex_ / complex_.norm(dim=-1, keepdim=True)
        torch.testing.assert_close(phase, unit * torch.tensor([1, sign]), rtol=0, atol=1e-4)


@torch.no_grad()
def test_mfcc_heeds_its_norm(peer, silently):
    from scipy.fft import dct

    plain = features.MFCC(norm=None, n_mfcc=13)
    ortho = features.MFCC(n_mfcc=13)
    power = plain.melspec_layer(NOISE)
    level = 10 * power.clamp(min=1e-10).log10()
    level = level.maximum(level.max() - 80)
    for layer, norm in ((plain, None), (ortho, "ortho")):
        expected = torch.from_numpy(dct(level.numpy(), axis=1, norm=norm))[:, :13]
        torch.testing.assert_close(layer(NOISE), expected, rtol=1e-4, atol=1e-2)
    theirs = silently(lambda: peer.MFCC(norm=None, n_mfcc=13, verbose=False))
    torch.testing.assert_close(theirs(NOISE), ortho(NOISE), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("STFT", {"n_fft": 256, "output_format": "Magnitude"}),
        ("MelSpectrogram", {"n_fft": 256, "n_mels": 20}),
        ("CQT1992v2", {"fmin": 220, "n_bins": 48}),
        ("CQT2010v2", {"fmin": 220, "n_bins": 48}),
    ],
)
def test_gradients_on_silence_are_finite(peer, silently, name, arguments):
    def gradient(layer):
        x = torch.zeros(1, 8192, requires_grad=True)
        silently(lambda: layer(x)).sum().backward()
        return x.grad

    assert (gradient(getattr(features, name)(**arguments)) == 0).all()
    theirs = silently(lambda: getattr(peer, name)(**arguments, verbose=False))
    assert gradient(theirs).isnan().any()


def test_trainable_vqt_has_parameters(peer, silently):
    arguments = {"fmin": 220, "n_bins": 24, "trainable": True}
    theirs = silently(lambda: peer.VQT(**arguments, verbose=False))
    ours = features.VQT(**arguments)
    assert not list(theirs.parameters())
    assert len(list(ours.parameters())) == 4
    assert set(ours.state_dict()) == set(theirs.state_dict())


def test_inverse_stft_gives_the_dtype_of_its_input(peer, silently):
    spec = torch.randn(1, 129, 6, 2)
    theirs = silently(lambda: peer.iSTFT(n_fft=256, verbose=False))
    assert theirs(spec, onesided=True).dtype == torch.float64
    assert features.iSTFT(n_fft=256)(spec, onesided=True).dtype == torch.float32


def test_inverse_stft_takes_a_shorter_window(peer, silently):
    arguments = {"n_fft": 256, "win_length": 200}
    spec = features.STFT(**arguments)(NOISE)
    theirs = silently(lambda: peer.iSTFT(**arguments, verbose=False))
    with pytest.raises(RuntimeError, match="must match"):
        theirs(spec, onesided=True)
    again = features.iSTFT(**arguments)(spec, onesided=True, length=44100)
    torch.testing.assert_close(again, NOISE, rtol=0, atol=1e-4)


def test_an_odd_frame_can_be_inverted(peer, silently):
    layer = features.STFT(n_fft=255, hop_length=64, iSTFT=True)
    again = layer.inverse(layer(NOISE), length=44100)
    torch.testing.assert_close(again, NOISE, rtol=0, atol=1e-4)


def test_nothing_is_printed_unless_asked_for(capsys):
    for name in features.__all__:
        arguments = {"n_fft": 256} if name == "Griffin_Lim" else {}
        if name in ("CQT2010", "CQT2010v2", "VQT", "iCQT", "CQT1992v2", "CQT"):
            arguments = {"fmin": 220, "n_bins": 24}
        getattr(features, name)(**arguments)
    assert capsys.readouterr().out == ""
    features.STFT(n_fft=256, verbose=True)
    assert "STFT kernels created" in capsys.readouterr().out


def test_errors_are_clear():
    layer = features.STFT(n_fft=256)
    for wrong, words in (
        (torch.zeros(2, 2, 4096), "fold channels"),
        (torch.zeros(4096, dtype=torch.int16), r"\.float\(\)"),
        (torch.zeros(100), "too short to be mirrored"),
        ([0.0] * 4096, "must be a torch.Tensor"),
    ):
        with pytest.raises(ParameterError, match=words):
            layer(wrong)
    for arguments, words in (
        ({"pad_mode": "circular"}, "pad_mode"),
        ({"hop_length": 0}, "hop_length"),
        ({"freq_scale": "mel"}, "freq_scale"),
        ({"freq_scale": "log", "fmin": 0}, "fmin"),
        ({"output_format": "Power"}, "output_format"),
        ({"win_length": 4096}, "win_length"),
        ({"window": "han"}, "unknown window"),
    ):
        with pytest.raises(ParameterError, match=words):
            features.STFT(**arguments)
    for arguments, words in (
        ({"n_bins": 120}, "at most 101 bins fit"),
        ({"fmin": 0}, "fmin"),
        ({"n_bins": None}, "n_bins=None needs fmax"),
        ({"fmax": 10}, "fmax"),
        ({"hop_length": 0}, "hop_length"),
        ({"bins_per_octave": 0}, "bins_per_octave"),
    ):
        for name in ("CQT1992v2", "CQT2010", "CQT2010v2", "VQT"):
            with pytest.raises(ParameterError, match=words):
                getattr(features, name)(**arguments)
    with pytest.raises(ParameterError, match="normalization_type"):
        features.CQT2010v2()(NOISE, normalization_type="none")
    with pytest.raises(ParameterError, match="pad_mode='constant'"):
        features.CQT1992v2()(NOISE[:, :8000])
    with pytest.raises(ParameterError, match="gamma"):
        features.VQT(gamma=-1)
    with pytest.raises(ParameterError, match="iSTFT=True"):
        layer.inverse(torch.zeros(1, 129, 4, 2))
    with pytest.raises(ParameterError, match="Griffin_Lim"):
        features.iSTFT(n_fft=256)(torch.zeros(1, 129, 4), onesided=True)
    for arguments in ({"norm": "max"}, {"amin": 0.0}, {"top_db": -1.0}, {"n_mfcc": 0}):
        with pytest.raises(ParameterError, match=next(iter(arguments))):
            features.MFCC(**arguments)
    with pytest.raises(ParameterError, match="norm"):
        features.MelSpectrogram(norm=2)
    with pytest.raises(ParameterError, match="must be above 0"):
        features.CFP(fr=0)
    with pytest.raises(ParameterError, match="two layers"):
        features.CFP(g=[0.24])


@torch.no_grad()
def test_short_octaves_are_continued_by_silence():
    layer = features.CQT2010v2()
    with pytest.warns(UserWarning, match="continued by silence"):
        short = layer(NOISE[:, :4096])
    assert short.isfinite().all()
    assert short.shape == (1, 84, 9)
