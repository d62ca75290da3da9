"""What the network makes of some validation excerpts, to be heard and seen while it learns."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from unweave import audio
from unweave.training.callbacks import ours
from unweave.training.config import Config
from unweave.training.model_folder import ModelFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter

Excerpts = list[tuple[Tensor, Tensor]]


class Snapshots(Callback):
    """Separate validation excerpts every few epochs and after the last one.

    In audio/ and images/ the files of an excerpt have its number and the epoch in their names:
    `vocals_1_epoch5.wav`, `vocals_1_epoch5_spectrogram.png`; what they should be is beside them as
    `vocals_1_true.wav`, and what it was drawn from as `mixture_1.wav`.

    Args:
        folder: Of the model.
        config: `visualizer_params` says what is shown.
        excerpts: Mixtures (channels, time) and their sources (sources, channels, time).
        last_epoch: Number of the last epoch that this run is to make.
        writer: Of TensorBoard's logs, if there are any.
    """

    def __init__(
        self,
        folder: ModelFolder,
        config: Config,
        excerpts: Excerpts,
        *,
        last_epoch: int,
        writer: "SummaryWriter | None" = None,
    ) -> None:
        self._folder, self._wanted = folder, config.visualizer_params
        self._names = config.dataset_params.targets
        self._rate = config.dataset_params.sample_rate
        self._excerpts, self._last, self._writer = excerpts, last_epoch, writer
        self._true_is_there = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the excerpts, if it is time to.

        Args:
            trainer: Of the run.
            pl_module: What is trained.

        Raises:
            AudioFileError: The disk is full.
        """
        module = ours(pl_module)
        epoch = module.epochs_done
        due = epoch % self._wanted.save_frequency == 0 or epoch == self._last or trainer.should_stop
        if not due or not trainer.is_global_zero:
            return
        for number, (mixture, targets) in enumerate(self._excerpts, 1):
            with module.average.applied() as network, torch.no_grad():
                network.eval()
                stems = network(mixture[None].to(module.device)).float().cpu()[0]
                network.train()
            self._show(number, epoch, mixture, targets, stems)
        self._true_is_there = True

    def _show(
        self, number: int, epoch: int, mixture: Tensor, targets: Tensor, stems: Tensor
    ) -> None:
        if not self._true_is_there:
            self._keep_audio(f"mixture_{number}", mixture, None)
        for name, stem, target in zip(self._names, stems, targets, strict=True):
            if not self._true_is_there:
                self._keep_audio(f"{name}_{number}_true", target, None)
            label = f"{name}_{number}"
            self._keep_audio(f"{label}_epoch{epoch}", stem, epoch)
            if self._wanted.play_residual:
                self._keep_audio(f"{label}_residual_epoch{epoch}", mixture - stem, epoch)
            if self._wanted.view_spectrogram:
                figure = spectrograms(stem, target, self._rate)
                self._keep_image(f"{label}_epoch{epoch}_spectrogram", figure, epoch)
            if self._wanted.view_waveform:
                figure = waveforms({"mixture": mixture, name: target, "estimate": stem}, self._rate)
                self._keep_image(f"{label}_epoch{epoch}_waveform", figure, epoch)

    def _keep_audio(self, name: str, sound: Tensor, epoch: int | None) -> None:
        if self._wanted.save_audio:
            self._folder.audio.mkdir(exist_ok=True)
            # A wav file is of floats: an estimate above full scale is not clipped
            path = self._folder.audio / f"{name}.wav"
            audio.write(path, sound, self._rate)
        if self._wanted.play_audio and self._writer is not None:
            label = name if epoch is None else name.removesuffix(f"_epoch{epoch}")
            mono = sound.mean(0, keepdim=True).clamp(-1, 1)
            self._writer.add_audio(label, mono, epoch or 0, self._rate)

    def _keep_image(self, name: str, figure: "Figure", epoch: int) -> None:
        from unweave import plots

        if self._wanted.save_image:
            self._folder.images.mkdir(exist_ok=True)
            plots.save(figure, self._folder.images / f"{name}.png")
        if self._writer is not None:
            label = name.replace(f"_epoch{epoch}", "")
            self._writer.add_image(label, _pixels(figure), epoch, dataformats="HWC")


def spectrograms(estimate: Tensor, target: Tensor, rate: int) -> "Figure":
    """Draw an estimate beside the truth, and what is between them.

    Args:
        estimate: Samples.
        target: Samples.
        rate: In hertz.

    Returns:
        The figure.

    Shape:
        (channels, time)
    """
    from unweave import plots

    axes = plots.compare(estimate, target, sample_rate=rate)
    return cast("Figure", axes[0].figure)


def waveforms(signals: dict[str, Tensor], rate: int) -> "Figure":
    """Draw signals below each other on one scale.

    Args:
        signals: Samples by their titles.
        rate: In hertz.

    Returns:
        The figure.

    Shape:
        (channels, time)
    """
    from matplotlib.figure import Figure

    from unweave import plots

    figure = Figure(figsize=(10, 2 * len(signals)), layout="constrained")
    limit = max(0.01, *(1.05 * float(each.abs().max()) for each in signals.values()))
    rows = figure.subplots(len(signals), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (title, sound) in zip(rows, signals.items(), strict=True):
        plots.waveform(sound, sample_rate=rate, limit=limit, ax=ax)
        ax.set_title(title, loc="left", fontsize=9)
        ax.label_outer()
    return figure


def _pixels(figure: "Figure") -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
