"""What models are trained to make small."""

from unweave.losses.component import ComponentLoss, component_loss
from unweave.losses.kl import kl_div_loss
from unweave.losses.permutation import permutation_invariant
from unweave.losses.spectral import MultiResolutionSTFTLoss, multi_resolution_stft_loss
from unweave.losses.waveform import l1_loss, l1_snr_loss, l2_loss, sdr_loss, si_sdr_loss

__all__ = [
    "ComponentLoss",
    "MultiResolutionSTFTLoss",
    "component_loss",
    "kl_div_loss",
    "l1_loss",
    "l1_snr_loss",
    "l2_loss",
    "multi_resolution_stft_loss",
    "permutation_invariant",
    "sdr_loss",
    "si_sdr_loss",
]
