"""The receiver's port in the daemon: what is decided is done, told to the log, and shown in the status."""

from __future__ import annotations

import logging
from dataclasses import replace

from rpmu.config import Gps
from rpmu.receiver_line import ReceiverLine
from rpmu.status import as_lines, as_object
from rpmu.timing.receiver import nmea
from tests.e2e.rig import configuration, run_chain

RMC = nmea("GPRMC,202640.000,A,4404.1306,N,12118.8515,W,0.03,225.97,130415,,,D")


class Port:
    """Hands out what it is told to."""

    def __init__(self):
        self.data, self.written, self.speeds, self.open = b"", b"", [], True

    def read(self):
        data, self.data = self.data, b""
        return data

    def write(self, data):
        self.written += data

    def set_baud_rate(self, baud_rate):
        self.speeds.append(baud_rate)

    def close(self):
        self.open = False


def test_bytes_go_on_and_the_dialogue_is_carried_out(caplog):
    caplog.set_level(logging.INFO)
    port = Port()
    line = ReceiverLine(port, Gps(baud_rate=38_400))
    for _ in range(30):
        port.data = b"\xf8\x00\x80junk"
        assert line.read(0.1) == b"\xf8\x00\x80junk"
    assert (port.speeds, port.written) == ([9600], b"")
    port.data = RMC
    assert line.read(0.1) == RMC
    assert b"$PMTK314," in port.written
    assert "speaks at 9600 baud" in caplog.text
    line.close()
    assert not port.open


def test_nothing_is_written_where_it_is_not_to_be_configured():
    port = Port()
    line = ReceiverLine(port, Gps(configure=False))
    port.data = RMC
    line.read(0.1)
    for _ in range(600):
        line.read(0.1)
    assert port.written == b""


def test_the_status_tells_of_the_receiver_and_of_leap_seconds(tmp_path):
    file = tmp_path / "leap-seconds.list"
    file.write_text("#@ 3991593600\n3692217600 37\n")  # until June 2026, which is over on the twin
    config = configuration()
    outcome = run_chain(8, replace(config, time=replace(config.time, leap_second_file=str(file))))
    lines = as_lines(as_object(outcome.status))
    assert "receiver    heard at 9600 baud, answers, AXN_2.31_3339_13101700" in lines
    assert "leap second unknown: the leap-second file has expired" in lines
