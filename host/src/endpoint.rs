//! The misbehaving local endpoint.
