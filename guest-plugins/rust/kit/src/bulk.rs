//! NDJSON bulk APIs, as Elasticsearch's `_bulk`: an action line and a data line for each record, and a response with an
//! item for each.

mod items;
mod lines;

pub use items::verdicts;
pub use lines::{Action, one_line};
