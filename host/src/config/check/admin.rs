//! How the host is seen from outside.

use super::Checker;
use crate::{
    admin::settings::{self, AdminSettings},
    config::{problem::Problem, shape::admin::AdminYaml},
};

impl Checker<'_> {
    pub(super) fn admin(&mut self, yaml: AdminYaml) -> AdminSettings {
        let Some(address) = yaml.address else {
            return AdminSettings::default();
        };
        let path = ["admin", "address"];
        let label = self.written(&path).to_owned();
        match settings::parse(&address) {
            Ok(address) => AdminSettings { address, label },
            Err(hint) => {
                let message = format!("`{label}` is no address to listen on");
                let problem = Problem::new(self.mark(&path), message);
                self.problems.push(problem.hint(hint));
                AdminSettings::default()
            }
        }
    }
}
