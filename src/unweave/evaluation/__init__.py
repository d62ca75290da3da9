"""How near estimated stems come to the true ones."""

from unweave.evaluation.baselines import baseline
from unweave.evaluation.bsseval import BSSScores, bss_eval
from unweave.evaluation.pairwise import pairwise_si_sdr
from unweave.evaluation.report import Row, aggregate, read_csv, write_csv, write_museval
from unweave.evaluation.scaleinvariant import si_sar, si_sir
from unweave.evaluation.sdr import SDRMeter, sdr, si_sdr
from unweave.evaluation.tracks import METRICS, BSSSettings, StemScores, score_track

__all__ = [
    "METRICS",
    "BSSScores",
    "BSSSettings",
    "Row",
    "SDRMeter",
    "StemScores",
    "aggregate",
    "baseline",
    "bss_eval",
    "pairwise_si_sdr",
    "read_csv",
    "score_track",
    "sdr",
    "si_sar",
    "si_sdr",
    "si_sir",
    "write_csv",
    "write_museval",
]
