//! Kinesis, against servers that nobody here wrote and a foreign client: by id, nothing is lost.

#[path = "kinesis/egress.rs"]
mod egress;
#[path = "kinesis/errors.rs"]
mod errors;
#[path = "kinesis/faults.rs"]
mod faults;
#[path = "kinesis/host.rs"]
mod host;
#[path = "kinesis/progress.rs"]
mod progress;
#[path = "kinesis/reading.rs"]
mod reading;
#[path = "kinesis/reload.rs"]
mod reload;
#[path = "kinesis/resharding.rs"]
mod resharding;
