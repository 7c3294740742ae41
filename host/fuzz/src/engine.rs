//! What libFuzzer calls. The plugins' workspace includes this file too.

use std::{
    panic,
    path::PathBuf,
    process,
    sync::{LazyLock, Mutex, PoisonError},
    thread,
};

use libfuzzer_sys::fuzz_target;

use crate::{
    TARGETS,
    draw::{self, Target},
};

/// The target that `NOZZLE_FUZZ_TARGET` names.
static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("NOZZLE_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|target| target.name == name);
    *found.unwrap_or_else(|| {
        eprintln!("NOZZLE_FUZZ_TARGET names none of the targets");
        process::exit(2)
    })
});

/// The input that is running.
static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fuzz_target!(
    init: {
        listed();
        written();
        panics();
    },
    |input: &[u8]| {
        let mut running = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        running.clear();
        running.extend_from_slice(input);
        drop(running);
        (TARGET.run)(input);
    }
);

/// Without a name, the names.
fn listed() {
    if std::env::var_os("NOZZLE_FUZZ_TARGET").is_none() {
        TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name));
        process::exit(0);
    }
}

/// The written inputs, as files for libFuzzer to begin with.
fn written() {
    let Some(folder) = std::env::var_os("NOZZLE_FUZZ_INPUTS").map(PathBuf::from) else {
        return;
    };
    for (number, input) in draw::lines(TARGET.inputs).enumerate() {
        std::fs::write(folder.join(format!("written-{number}")), input)
            .expect("NOZZLE_FUZZ_INPUTS is a folder");
    }
}

/// A panic ends the program, after the input was shown as a line for the target's file; but for the one that the
/// progress store expects of redb, on a thread of its own.
fn panics() {
    let end = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() == Some("nozzle-verify-store") {
            return;
        }
        let input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!(
            "the target `{}` fails on this input:\n{}",
            TARGET.name,
            draw::line(&input)
        );
        end(info);
    }));
}
