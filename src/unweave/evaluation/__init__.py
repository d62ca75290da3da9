"""How near estimated stems come to the true ones."""

from unweave.evaluation.sdr import SDRMeter, sdr, si_sdr

__all__ = ["SDRMeter", "sdr", "si_sdr"]
