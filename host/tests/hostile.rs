//! What plugins do to a host that they mean to harm, and what becomes of it: a row for each way.
//!
//! Each row is contained: of its records only the poisoned one is lost to its sink, and ends as a dead letter that names
//! the cause; the sinks beside it are untouched; the host goes on, within its memory.

#[path = "hostile/breaker.rs"]
mod breaker;
#[path = "hostile/load.rs"]
mod load;
#[path = "hostile/rows.rs"]
mod rows;
#[path = "hostile/run.rs"]
mod run;
