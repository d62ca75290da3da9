"""How near estimated stems come to the true ones."""

from unweave.evaluation.bsseval import BSSScores, bss_eval
from unweave.evaluation.scaleinvariant import si_sar, si_sir
from unweave.evaluation.sdr import SDRMeter, sdr, si_sdr

__all__ = ["BSSScores", "SDRMeter", "bss_eval", "sdr", "si_sar", "si_sdr", "si_sir"]
