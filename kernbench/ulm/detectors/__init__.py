"""Classical detectors under the protocol of the networks."""
