//! What helps the author of a plugin: cases that are run against it without a network, in the host that a run has.
//!
//! Nothing here prints: what came of it is handed to the command line, or to a test.
//!
//! # Invariants
//! - A plugin is run as in a sink: with the same instance, limits, and checks of what it answers.
//! - A case is judged by what its file says alone; what a file leaves out of an expectation is not compared.

mod bench;
mod case;
mod check;
mod compare;
mod diff;
mod files;
mod mistake;
mod outcome;
mod preview;
mod project;
mod record;
mod secrets;
mod show;
mod tree;
mod update;
mod view;
mod workshop;

pub use bench::{Bench, BenchError};
pub use case::Case;
pub use check::{Checked, Trial};
pub use diff::{Difference, Line, LineKind};
pub use files::{CasesError, case_files};
pub use mistake::Mistake;
pub use outcome::{CaseEnd, Update};
pub use preview::{Call, Preview, PreviewError, events_of};
pub use project::{Language, ProjectError, Template, write_project};
pub use record::{Origin, RecordedText, case_of};
pub use secrets::{REMOVED, Secrets};
pub use workshop::{Workshop, WorkshopError};
