"""The doctor: looks at everything between the outlet and the PDC, and says what is wrong and what to do.

    Subject (root of the file system, configuration, the daemon's status) -> one small function per check -> Finding

A check reads files below `Subject.root` and the status, and nothing else, so tests give it a tree of their own.
"""

from rpmu.doctor.examine import examine, exit_code
from rpmu.doctor.finding import Finding, Level
from rpmu.doctor.subject import Subject

__all__ = ["Finding", "Level", "Subject", "examine", "exit_code"]
