"""From samples and their times to phasors, frequency and ROCOF at UTC instants."""

from rpmu.estimate.cic import CicResponse
from rpmu.estimate.estimator import Estimator
from rpmu.estimate.front_end import FrontEnd
from rpmu.estimate.reports import Reports
from rpmu.estimate.settings import EstimatorSettings
from rpmu.estimate.waveform import estimate_waveform

__all__ = ["CicResponse", "Estimator", "EstimatorSettings", "FrontEnd", "Reports", "estimate_waveform"]
