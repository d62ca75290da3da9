"""The transforms that a training needs, with one set of parameters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.checks import positive_int
from unweave.errors import ParameterError
from unweave.transforms import istft, mel_filter_bank, power_to_db, stft


class AudioTransform:
    """Turn audio into spectrograms and back, and either into mel spectrograms.

    Args:
        num_fft: Samples of a frame.
        hop_length: Samples from one frame to the next.
        window_size: Samples of the window, at most `num_fft`.
        sample_rate: Of the audio, in Hz.
        device: Where the work is done, such as "cpu" or "cuda"; what is given is moved there. None
            works where the data are.
        n_mels: Bands of mel spectrograms; 128 are too many for frames below 1024 samples.
        channels_last: Whether channels are the last axis of audio and spectrograms, which then are
            (batch, time, channels) and (batch, freq, frames, channels).

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> transform = AudioTransform(num_fft=1024, hop_length=768, window_size=1024)
        >>> mix_audio = torch.rand(16, 1, 88200)
        >>> spectrogram = transform.to_spectrogram(mix_audio)
        >>> mel_spec = transform.to_mel_scale(torch.abs(spectrogram), to_db=True)
        >>> spectrogram.shape, mel_spec.shape
        (torch.Size([16, 1, 513, 116]), torch.Size([16, 1, 128, 116]))
    """

    def __init__(
        self,
        num_fft: int,
        hop_length: int,
        window_size: int,
        sample_rate: int = 44100,
        device: str | torch.device | None = None,
        *,
        n_mels: int = 128,
        channels_last: bool = False,
    ) -> None:
        self.num_fft = positive_int("num_fft", num_fft)
        self.hop_length = positive_int("hop_length", hop_length)
        self.window_size = positive_int("window_size", window_size)
        if self.window_size > self.num_fft:
            raise ParameterError(
                f"window_size={window_size} must be at most num_fft={num_fft}: the window lies"
                " within the frame"
            )
        self.sample_rate = positive_int("sample_rate", sample_rate)
        self.device = None if device is None else torch.device(device)
        self.n_mels = positive_int("n_mels", n_mels)
        self.channels_last = channels_last

    def to_spectrogram(self, audio: Tensor, use_padding: bool = True) -> Tensor:
        """Transform audio to its complex spectrogram.

        Args:
            audio: Real audio.
            use_padding: Whether silence is appended first; see `pad_audio`.

        Returns:
            The spectrogram, complex64 for float32.

        Raises:
            ParameterError: The audio is not real, or too short.

        Shape:
            audio: (..., channels, time)
            returns: (..., channels, freq, frames)

        Example:
            >>> AudioTransform(512, 128, 512).to_spectrogram(torch.rand(2, 1000)).shape
            torch.Size([2, 257, 9])
        """
        signal = self._first(audio, axes=2)
        signal = self._padded(signal) if use_padding else signal
        return self._last(self._stft(signal), axes=3)

    def to_audio(self, complex_spec: Tensor, length: int | None = None) -> Tensor:
        """Transform a complex spectrogram to its audio: the inverse of `to_spectrogram`.

        Args:
            complex_spec: Complex spectrogram.
            length: Samples wanted; by default up to the centre of the last frame, which includes
                the silence that was appended.

        Returns:
            The audio, float32 for complex64.

        Raises:
            ParameterError: The spectrogram is not complex, or has other bins.

        Shape:
            complex_spec: (..., channels, freq, frames)
            returns: (..., channels, length)

        Example:
            >>> transform = AudioTransform(512, 128, 512)
            >>> audio = torch.rand(1, 1000)
            >>> again = transform.to_audio(transform.to_spectrogram(audio), length=1000)
            >>> bool(torch.allclose(again, audio, atol=1e-5))
            True
        """
        audio = istft(
            self._first(complex_spec, axes=3),
            n_fft=self.num_fft,
            hop_length=self.hop_length,
            win_length=self.window_size,
            length=length,
        )
        return self._last(audio, axes=2)

    def to_mel_scale(self, spectrogram: Tensor, to_db: bool = True) -> Tensor:
        """Sum the energies of a spectrogram in bands, even on the mel scale of pitch.

        Args:
            spectrogram: Magnitudes, or the complex spectrogram.
            to_db: Whether to give levels in dB; the softest lies 80 dB below the loudest of each
                spectrogram.

        Returns:
            The mel spectrogram, powers or dB.

        Raises:
            ParameterError: The spectrogram has other bins than `num_fft // 2 + 1`.

        Shape:
            spectrogram: (..., channels, freq, frames)
            returns: (..., channels, n_mels, frames)

        Example:
            >>> AudioTransform(512, 128, 512, 16000).to_mel_scale(torch.rand(1, 257, 9)).shape
            torch.Size([1, 128, 9])
        """
        spec = self._first(spectrogram, axes=3)
        bins = self.num_fft // 2 + 1
        if spec.shape[-2] != bins:
            raise ParameterError(
                f"spectrogram of shape {tuple(spectrogram.shape)} has {spec.shape[-2]} frequencies,"
                f" not the num_fft // 2 + 1 = {bins} of num_fft={self.num_fft}"
            )
        bank = mel_filter_bank(sample_rate=self.sample_rate, n_fft=self.num_fft, n_mels=self.n_mels)
        power = spec.abs().square()
        mel = bank.to(power) @ power
        return self._last(power_to_db(mel) if to_db else mel, axes=3)

    def audio_to_mel(self, audio: Tensor, to_db: bool = True) -> Tensor:
        """Transform audio to its mel spectrogram.

        Args:
            audio: Real audio.
            to_db: Whether to give levels in dB; see `to_mel_scale`.

        Returns:
            What `to_mel_scale` gives of the spectrogram.

        Shape:
            audio: (..., channels, time)
            returns: (..., channels, n_mels, frames)

        Example:
            >>> transform = AudioTransform(1024, 768, 1024, channels_last=True)
            >>> transform.audio_to_mel(torch.rand(16, 88200, 1), to_db=True).shape
            torch.Size([16, 128, 116, 1])
        """
        return self.to_mel_scale(self.to_spectrogram(audio), to_db)

    def pad_audio(self, audio: Tensor) -> Tensor:
        """Append silence up to a multiple of the hop, at least a frame in all.

        The last frame of the spectrogram then is centred on the end of the audio.

        Args:
            audio: Audio.

        Returns:
            The audio, longer by less than a hop unless it is shorter than a frame.

        Shape:
            audio: (..., channels, time)
            returns: (..., channels, padded time)

        Example:
            >>> AudioTransform(512, 128, 512).pad_audio(torch.rand(2, 1000)).shape
            torch.Size([2, 1024])
        """
        return self._last(self._padded(self._first(audio, axes=2)), axes=2)

    def _stft(self, audio: Tensor) -> Tensor:
        return stft(
            audio, n_fft=self.num_fft, hop_length=self.hop_length, win_length=self.window_size
        )

    def _padded(self, audio: Tensor) -> Tensor:
        time = max(audio.shape[-1], self.num_fft)
        wanted = -(-time // self.hop_length) * self.hop_length
        return pad(audio, (0, wanted - audio.shape[-1]))

    def _first(self, x: Tensor, axes: int) -> Tensor:
        """Move to the device and to channels before all else but the batch."""
        if x.ndim < axes - (not self.channels_last):
            order = "(batch, ..., channels)" if self.channels_last else "(..., channels, ...)"
            raise ParameterError(f"shape {tuple(x.shape)} has too few axes: it must be {order}")
        x = x if self.device is None else x.to(self.device)
        return x.movedim(-1, -axes) if self.channels_last else x

    def _last(self, x: Tensor, axes: int) -> Tensor:
        return x.movedim(-axes, -1) if self.channels_last else x
