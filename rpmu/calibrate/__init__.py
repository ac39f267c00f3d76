"""What is known of the analogue front end: nominal profiles, and later fits, certificates and self-test."""

from rpmu.calibrate.profile import Profile, load_profile

__all__ = ["Profile", "load_profile"]
