"""How old a report is when its frame is handed to the sockets: every class and rate, on the twin, as a Markdown table.

python -m tests.conformance.latency
"""

from rpmu import rooms
from tests.conformance.campaign import TASKS
from tests.conformance.limits import latency_limit
from tests.conformance.twin import NOMINAL, configured, socket_latency_s


def main() -> None:
    """Print a row as soon as it is measured."""
    print("| | algorithm | to the socket | three phases | limit |\n| --- | --- | --- | --- | --- |")
    for task in TASKS:
        config = configured(NOMINAL, task)
        _, delay_s = rooms.window_and_delay_s(config, rooms.calibration(config))
        sent = [f"{1e3 * socket_latency_s(task, phases):.1f} ms" for phases in (1, 3)]
        print(
            f"| {task.name} | {1e3 * delay_s:.1f} ms | {' | '.join(sent)} | {1e3 * latency_limit(task):.1f} ms |",
            flush=True,
        )


if __name__ == "__main__":
    main()
