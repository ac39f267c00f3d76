"""What runs on the board besides rpmu itself, and only there: the first boot, and copying the card to the eMMC."""
