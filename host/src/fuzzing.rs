//! Fuzz targets: what untrusted bytes may never do. `docs/fuzzing.md` tells how to run them.
//!
//! A target is a function from bytes that panics where something does not hold. It stands in the `fuzz` module of
//! the part that it attacks, and here with its name and its written inputs. In `make test` each runs these and a few
//! hundred random ones; `make fuzz` runs the same function under libFuzzer.
//!
//! # Invariants
//! - A target is a function of its input: no clock, no randomness, no network.

pub mod draw;

use self::draw::Target;
use crate::{config, delivery, egress, ingress, network, plugin, progress};

/// A folder for one run of a target; in memory where the machine has such a place, as targets sync their files.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a folder")
}

macro_rules! target {
    ($name:literal, $run:path) => {
        Target {
            name: $name,
            run: $run,
            inputs: include_str!(concat!("fuzzing/", $name, ".txt")),
        }
    };
}

/// All targets of the host.
pub const TARGETS: [Target; 12] = [
    target!("module-file", config::fuzz::module_file),
    target!("property-groups", config::fuzz::property_groups),
    target!("interpolation", config::fuzz::interpolation),
    target!("retry-after", delivery::fuzz::retry_after),
    target!("plugin-shaped", delivery::fuzz::shaped),
    target!("plugin-handled", delivery::fuzz::handled),
    target!("plugin-output", plugin::fuzz::output),
    target!("headers", network::fuzz::headers),
    target!("request-target", network::fuzz::target),
    target!("kpl-aggregate", ingress::kinesis::fuzz::aggregate),
    target!("dead-letters", egress::fuzz::dead_letters),
    target!("progress", progress::fuzz::store),
];

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! tests {
        ($($test:ident: $name:literal,)*) => {
            /// The targets that have a test.
            const TESTED: &[&str] = &[$($name),*];
            $(
                #[test]
                fn $test() {
                    hold($name);
                }
            )*
        };
    }

    tests! {
        a_module_file_is_loaded_or_refused_in_place: "module-file",
        property_groups_are_read_as_json_says_and_shown_never: "property-groups",
        references_are_filled_in_and_nothing_else_is: "interpolation",
        a_wait_is_what_the_rfc_says: "retry-after",
        an_answer_of_shape_is_refused_or_gives_every_event_one_end: "plugin-shaped",
        an_answer_of_handle_is_refused_or_gives_every_event_one_verdict: "plugin-handled",
        what_a_guest_writes_becomes_clean_lines: "plugin-output",
        headers_that_pass_stay_within_their_line: "headers",
        targets_that_pass_stay_on_the_endpoint: "request-target",
        aggregates_are_taken_apart_within_bounds: "kpl-aggregate",
        what_is_written_is_read_back_whatever_a_crash_has_left: "dead-letters",
        a_store_is_refused_or_says_what_was_stored: "progress",
    }

    fn hold(name: &str) {
        let target = TARGETS.iter().find(|target| target.name == name);
        let target = target.expect("a target of this name");
        let seed = match std::env::var("NOZZLE_FUZZ_SEED") {
            Ok(seed) => seed.parse().expect("NOZZLE_FUZZ_SEED is a number"),
            Err(_) => fastrand::u64(..),
        };
        println!("{name}: NOZZLE_FUZZ_SEED={seed}");

        draw::replay(target, seed);
    }

    #[test]
    fn every_target_has_a_test_and_an_input() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        let empty = TARGETS
            .iter()
            .find(|target| draw::lines(target.inputs).next().is_none());

        assert_eq!(names, TESTED);
        assert!(empty.is_none(), "{empty:?}");
    }

    #[test]
    fn an_input_is_the_same_after_it_was_written_down() {
        let every: Vec<u8> = (0..=255).collect();
        for input in [&every[..], b"", b"#x", b"\\x41\n"] {
            let read: Vec<Vec<u8>> = draw::lines(&draw::line(input)).collect();

            assert_eq!(read.first().map_or(&[][..], |input| input), input);
        }
    }

    #[test]
    #[should_panic(expected = "found")]
    fn a_target_that_fails_on_a_written_input_fails_the_test() {
        let planted = Target {
            name: "planted",
            run: |input| assert!(input != b"N\0z", "found"),
            inputs: "# why\nok\nN\\x00z",
        };

        draw::replay(&planted, 1);
    }
}
