//! What helps the author of a plugin: cases that are run against it without a network, in the host that a run has.
//!
//! Nothing here prints: what came of it is handed to the command line, or to a test.
//!
//! # Invariants
//! - A plugin is run as in a sink: with the same instance, limits, and checks of what it answers.
//! - A case is judged by what its file says alone; what a file leaves out of an expectation is not compared.

mod case;
mod compare;
mod diff;
mod files;
mod outcome;
mod show;
mod tree;
mod update;
mod view;
mod workshop;

pub use case::Case;
pub use diff::{Line, LineKind};
pub use files::{CasesError, case_files};
pub use outcome::{CaseEnd, Update};
pub use workshop::{Workshop, WorkshopError};
