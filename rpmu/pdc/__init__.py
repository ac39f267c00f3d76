"""What a PDC needs: a client, a splitter, a concentrator, recording and replay."""

from rpmu.pdc.client import BlockingPdcClient, ClientStatistics, NoAnswerError, PdcClient

__all__ = ["BlockingPdcClient", "ClientStatistics", "NoAnswerError", "PdcClient"]
