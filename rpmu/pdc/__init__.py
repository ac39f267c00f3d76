"""What a PDC needs: a client, a splitter, a concentrator, recording and replay."""

from rpmu.pdc.client import BlockingPdcClient, ClientStatistics, NoAnswerError, PdcClient
from rpmu.pdc.concentrator import Concentrator, ConcentratorSettings, SourceSettings
from rpmu.pdc.splitter import Splitter

__all__ = [
    "BlockingPdcClient",
    "ClientStatistics",
    "Concentrator",
    "ConcentratorSettings",
    "NoAnswerError",
    "PdcClient",
    "SourceSettings",
    "Splitter",
]
