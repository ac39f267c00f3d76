"""What is known of the analogue front end: nominal profiles, fits, certificates, and the way to them."""

from rpmu.calibrate.profile import Profile, load_profile

__all__ = ["Profile", "load_profile"]
