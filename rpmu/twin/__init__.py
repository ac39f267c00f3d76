"""The digital twin: mains, front end, ADC, PRU and GPS receiver of a board that nobody has on the desk.

Nothing of the measuring path may import from here: what it measures on the twin it must measure on the board.
"""
