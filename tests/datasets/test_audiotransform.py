"""AudioTransform: the transforms of unweave under auralflow's names."""

import librosa
import numpy as np
import pytest
import torch

from unweave.datasets import AudioTransform
from unweave.errors import ParameterError
from unweave.transforms import mel_spectrogram, power_to_db, stft


def random(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 0.5


def test_the_example_of_auralflows_documents():
    transform = AudioTransform(num_fft=1024, hop_length=768, window_size=1024, sample_rate=44100)
    mix_audio = torch.rand((16, 1, 88200))
    spectrogram = transform.to_spectrogram(mix_audio)
    mag_spec = torch.abs(spectrogram)
    mel_spec = transform.to_mel_scale(mag_spec, to_db=True)
    again = transform.audio_to_mel(mix_audio, to_db=True)
    assert mel_spec.shape == (16, 1, 128, 116)
    torch.testing.assert_close(mel_spec, again)


def test_the_same_with_channels_last():
    words = {"num_fft": 512, "hop_length": 128, "window_size": 400, "n_mels": 40}
    first = AudioTransform(**words)
    last = AudioTransform(**words, channels_last=True)
    audio = random(3, 2, 5000)
    theirs = audio.movedim(1, -1)
    spec = first.to_spectrogram(audio)
    assert torch.equal(last.to_spectrogram(theirs).movedim(-1, 1), spec)
    assert last.to_spectrogram(theirs).shape == (3, 257, 41, 2)
    mel = last.audio_to_mel(theirs)
    assert torch.equal(mel.movedim(-1, 1), first.audio_to_mel(audio))
    again = last.to_audio(last.to_spectrogram(theirs), length=5000)
    torch.testing.assert_close(again, theirs, atol=1e-5, rtol=0)
    assert torch.equal(last.pad_audio(theirs).movedim(-1, 1), first.pad_audio(audio))


@pytest.mark.parametrize("leading", [(), (2,), (3, 2)])
@pytest.mark.parametrize("time", [1, 1000, 1024, 3001])
def test_there_and_back(leading, time):
    transform = AudioTransform(512, 160, 512)
    audio = random(*leading, time)
    kept = audio.clone()
    spec = transform.to_spectrogram(audio)
    again = transform.to_audio(spec, length=time)
    torch.testing.assert_close(again, audio, atol=1e-5, rtol=0)
    assert torch.equal(audio, kept)
    assert transform.to_audio(spec).shape[-1] == transform.pad_audio(audio).shape[-1]


@pytest.mark.parametrize(("time", "padded"), [(1, 640), (512, 640), (640, 640), (641, 800)])
def test_padding_fills_the_last_hop(time, padded):
    transform = AudioTransform(512, 160, 512)
    audio = random(2, time)
    out = transform.pad_audio(audio)
    assert out.shape == (2, padded)
    assert torch.equal(out[:, :time], audio)
    assert out[:, time:].abs().sum() == 0


def test_without_padding_it_is_the_stft():
    transform = AudioTransform(512, 128, 400)
    audio = random(2, 3001)
    expected = stft(audio, n_fft=512, hop_length=128, win_length=400)
    assert torch.equal(transform.to_spectrogram(audio, use_padding=False), expected)


def test_mel_is_that_of_the_transforms_and_of_librosa():
    transform = AudioTransform(1024, 256, 1024, sample_rate=22050)
    audio = random(1, 8192)
    mel = transform.audio_to_mel(audio, to_db=False)
    ours = mel_spectrogram(audio, sample_rate=22050, n_fft=1024, hop_length=256)
    torch.testing.assert_close(mel, ours, atol=1e-5, rtol=1e-4)
    theirs = librosa.feature.melspectrogram(
        y=audio[0].numpy(), sr=22050, n_fft=1024, hop_length=256, pad_mode="reflect"
    )
    np.testing.assert_allclose(mel[0].numpy(), theirs, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(transform.audio_to_mel(audio), power_to_db(mel))
    complex_in = transform.to_mel_scale(transform.to_spectrogram(audio), to_db=False)
    torch.testing.assert_close(complex_in, mel)


def test_gradients_and_devices():
    transform = AudioTransform(64, 16, 64, 8000, "cpu", n_mels=6)
    audio = random(1, 200).double().requires_grad_()
    torch.autograd.gradcheck(lambda x: transform.audio_to_mel(x, to_db=False), audio)
    assert transform.audio_to_mel(audio).dtype == torch.float64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_data_are_moved_to_the_device_or_stay():
    audio = random(2, 5000)
    assert AudioTransform(512, 128, 512, device="cuda").to_spectrogram(audio).is_cuda
    here = AudioTransform(512, 128, 512, n_mels=40)
    torch.testing.assert_close(here.audio_to_mel(audio.cuda()).cpu(), here.audio_to_mel(audio))


def test_what_is_refused():
    for words in ({"num_fft": 0}, {"hop_length": 0}, {"window_size": 2048}, {"sample_rate": 0.5}):
        with pytest.raises(ParameterError, match=next(iter(words))):
            AudioTransform(**{"num_fft": 1024, "hop_length": 256, "window_size": 1024, **words})
    transform = AudioTransform(1024, 256, 1024)
    with pytest.raises(ParameterError, match=r"has 512 frequencies, not the .* 513"):
        transform.to_mel_scale(torch.rand(1, 512, 10))
    with pytest.raises(ParameterError, match="too few axes"):
        AudioTransform(1024, 256, 1024, channels_last=True).to_spectrogram(torch.rand(5000))
