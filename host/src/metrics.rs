//! Every metric name, label and help text, in one place.
