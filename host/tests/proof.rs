//! Proof that nothing is lost: the real host under kills and faults, and an oracle that judges.
//!
//! Sizes and seeds come from the environment (`docs/proof.md`); `make soak` runs the long ones.

#[path = "proof/kills.rs"]
mod kills;
#[path = "proof/matrix.rs"]
mod matrix;
#[path = "proof/module.rs"]
mod module;
#[path = "proof/outage.rs"]
mod outage;
#[path = "proof/rig.rs"]
mod rig;
#[path = "proof/world.rs"]
mod world;
