//! The engine under a paused clock, with a scripted transport and plugin. Tests of the design's promises
//! bear their names.

mod buffer;
mod control;
mod endpoints;
mod failing;
mod gate;
mod leaving;
mod links;
mod order;
mod promises;
mod retries;
mod script;
