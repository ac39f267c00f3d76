"""Conformance of the estimator to IEC/IEEE 60255-118-1:2018. Run `make conformance`."""
