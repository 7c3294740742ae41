//! Reads NDJSON from a file or standard input: a line is a record, whatever it holds.
