//! Which hosts and addresses may be reached, and where a target leads: pure.
