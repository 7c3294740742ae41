//! Hosts of a proof: their module, their starts, and what changes under them.

use std::process::Command;

use nix::sys::signal::Signal;
use nozzle_testkit::{Child, Recorder, credentials, fault_endpoint::FaultEndpoint};

use super::{Rig, Start};
use crate::module::{Endpoints, PLUGINS, module};

impl Rig {
    /// What the next incarnation runs, or the one that runs from its next reload on.
    fn write_module(&self) {
        let url = |endpoint: &FaultEndpoint| endpoint.url().replace("127.0.0.1", self.setup.host);
        let urls = self.endpoints.iter().map(|endpoint| {
            (
                format!("{}{}/", url(endpoint), self.incarnation),
                endpoint.ca_file(),
            )
        });
        let timeout = format!("{}ms", self.setup.timeout.as_millis());
        let others = self.path("others");
        let endpoints = Endpoints {
            urls: urls.collect(),
            timeout: &timeout,
            batch: self.setup.batch + self.reloads as usize % 3,
            plugins: (self.reloads % 2 == 1).then_some(&others),
            sink: self.setup.sink,
            second: self.second.as_ref().map(Recorder::url),
        };
        let unfinished = self.path("module.part");
        std::fs::write(&unfinished, module(&self.place, &endpoints)).expect("written");
        std::fs::rename(unfinished, self.path("module.yaml")).expect("renamed");
    }

    /// Changes the module under the host that runs, its batches and the versions of its plugins, and has it read.
    pub(crate) fn reload(&mut self, child: &Child) {
        let others = self.path("others");
        if !others.exists() {
            std::fs::create_dir(&others).expect("a folder");
            PLUGINS
                .iter()
                .for_each(|case| case.write_other_version(&others));
        }
        self.reloads += 1;
        self.oracles.iter().for_each(|oracle| oracle.reloads());
        self.write_module();
        child.signal(Signal::SIGHUP);
    }

    /// Starts the next incarnation.
    pub(crate) fn start(&mut self, start: &Start) -> Child {
        self.incarnation += 1;
        for (oracle, world) in self.oracles.iter().zip(&self.worlds) {
            let begun = oracle.begin();
            assert_eq!(begun, self.incarnation);
            world.begin(begun);
        }
        self.write_module();
        let nozzle = env!("CARGO_BIN_EXE_nozzle");
        let mut command = match start.max_files {
            None => Command::new(nozzle),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args([
                    "-c",
                    &format!("ulimit -n {files}; exec \"$@\""),
                    "sh",
                    nozzle,
                ]);
                shell
            }
        };
        command.current_dir(self.path("")).args([
            "run",
            "module.yaml",
            "--state-dir",
            "state",
            "--grace",
            "20s",
        ]);
        credentials(&mut command);
        self.faults.preload(&mut command);
        if let Some(fail_point) = &start.fail_point {
            command.env("NOZZLE_FAIL_POINT", fail_point);
        }
        Child::start(&mut command)
    }
}
