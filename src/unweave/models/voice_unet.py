"""A U-Net that finds the singing voice: the network of Jansson as Spleeter enlarged it.

Six convolutions of stride 2 halve time and frequency of the magnitudes of both channels, six
transposed ones double them again, each beside the encoder's convolution of the same size. The
layers and their order are Spleeter's, so that its published weights fit.

References:
    A. Jansson et al., "Singing voice separation with deep U-Net convolutional networks",
        ISMIR 2017.
    R. Hennequin, A. Khlif, F. Voituret, M. Moussallam, "Spleeter: a fast and efficient music source
        separation tool with pre-trained models", Journal of Open Source Software 5(50), 2020.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 64, 128, 256, 512)
BINS = 1024  # of an STFT of 4096 samples: 11 kHz at 44.1 kHz
FRAMES = 64  # the number of frames must be a multiple


class VoiceUNet(nn.Module):
    """Find what share of every bin is voice.

    Args:
        widths: channels of the six convolutions.

    Shape:
        (batch, 2, frames, bins) -> the same, from 0 to 1; frames and bins multiples of 64.

    Example:
        >>> net = VoiceUNet(widths=(2, 2, 2, 2, 2, 2)).eval()
        >>> net(torch.rand(1, 2, 64, 128)).shape
        torch.Size([1, 2, 64, 128])
    """

    def __init__(self, *, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        into, out = (2, *widths[:-1]), (*widths[-2::-1], 1)
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 5, stride=2) for a, b in zip(into, widths, strict=True)
        )
        self.down_norms = nn.ModuleList(nn.BatchNorm2d(width, eps=1e-3) for width in widths[:-1])
        # Each but the first sees the convolution of its size beside what comes from below.
        below = (widths[-1], *(2 * width for width in out[:-1]))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 5, stride=2) for a, b in zip(below, out, strict=True)
        )
        self.up_norms = nn.ModuleList(nn.BatchNorm2d(width, eps=1e-3) for width in out)
        self.leave = nn.Conv2d(1, 2, 4, dilation=2, padding=3)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Return the share of the voice.

        Args:
            magnitudes: of the mixture, about as loud as records are.
        """
        x, sizes = magnitudes.contiguous(memory_format=torch.channels_last), []
        for level, down in enumerate(self.down):
            x = down(functional.pad(x, (1, 2, 1, 2)))  # as TensorFlow pads
            if level < len(self.down_norms):
                sizes.append(x)
                x = functional.leaky_relu(self.down_norms[level](x), 0.2)
        for up, norm in zip(self.up, self.up_norms, strict=True):
            x = norm(functional.relu(up(x)[:, :, 1:-2, 1:-2]))
            x = torch.cat((sizes.pop(), x), 1) if sizes else x
        shares: Tensor = torch.sigmoid(self.leave(x))
        return shares
