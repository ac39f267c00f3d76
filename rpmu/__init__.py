"""rpmu: the open residential phasor measurement unit.

Folders are the pipeline: acquire -> timing -> estimate -> c37118 -> serve. `rpmu.daemon` wires it; `rpmu.twin` is the
digital twin that runs the same firmware image and the same daemon on any PC.
"""

__version__ = "0.1.0"
