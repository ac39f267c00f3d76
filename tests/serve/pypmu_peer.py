"""pyPMU in a process of its own: `python pypmu_peer.py client HOST PORT IDCODE COUNT` or `server PORT IDCODE RATE`.

pyPMU (PyPI: synchrophasor 1.0.0a0) uses a name that left `collections` in Python 3.10; the first line puts it back.

It reads as much as the socket has and takes that for one frame; two that have piled up, as they do on a busy machine,
it throws away, and may never find the beginning of the next one. Told to read four bytes at a time, fewer than any
frame has, it reads frame by frame.
"""

import collections
import collections.abc
import json
import sys
import time

collections.Sequence = collections.abc.Sequence

from synchrophasor.frame import ConfigFrame2, DataFrame  # noqa: E402 - after the shim
from synchrophasor.pdc import Pdc  # noqa: E402
from synchrophasor.pmu import Pmu  # noqa: E402

PAUSE_AT, PAUSE_S = 5, 0.2  # it dozes once, so that frames do pile up
READ_BYTES = 4


def client(host, port, idcode, count):
    """Read header, configuration and data frames; print them as JSON."""
    pdc = Pdc(pdc_id=int(idcode), pmu_ip=host, pmu_port=int(port), buffer_size=READ_BYTES)
    pdc.run()
    header = pdc.get_header().get_header()
    config = pdc.get_config()
    assert isinstance(config, ConfigFrame2)
    pdc.start()
    frames = []
    while len(frames) < int(count):
        if len(frames) == PAUSE_AT:
            time.sleep(PAUSE_S)
        data = pdc.get()
        if isinstance(data, DataFrame):
            values = data.get_measurements()
            frames.append({"time": values["time"], "measurement": values["measurements"][0]})
    pdc.stop()
    pdc.quit()
    report = {"header": header, "station": config.get_station_name(), "rate": config.get_data_rate(), "frames": frames}
    print("REPORT " + json.dumps(report), flush=True)


def server(port, idcode, rate):
    """Serve pyPMU's own sample until killed."""
    pmu = Pmu(pmu_id=int(idcode), data_rate=int(rate), port=int(port), ip="127.0.0.1", buffer_size=READ_BYTES)
    pmu.set_configuration()
    pmu.cfg2.__class__ = ConfigFrame2  # set_configuration() makes CFG-2 the same object as CFG-1, and that a CFG-1
    pmu.cfg2.set_id_code(int(idcode))
    pmu.set_header("I am pyPMU")
    pmu.run()
    print("READY", flush=True)
    while True:
        pmu.send(pmu.ieee_data_sample)
        time.sleep(1 / int(rate))


if __name__ == "__main__":
    {"client": client, "server": server}[sys.argv[1]](*sys.argv[2:])
