"""From samples and their times to phasors, frequency and ROCOF at UTC instants."""

from rpmu.estimate.front_end import FrontEnd

__all__ = ["FrontEnd"]
