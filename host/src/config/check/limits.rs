//! `plugin.limits`.

use super::{
    Checker,
    sink::{bytes, set},
};
use crate::{
    config::{
        problem::Problem,
        shape::sink::{LimitsYaml, MAX_INSTANCES},
    },
    plugin::settings::PluginLimits,
};

impl Checker<'_> {
    pub(super) fn limits(&mut self, index: &str, yaml: &LimitsYaml) -> PluginLimits {
        let mut limits = PluginLimits::default();
        set(&mut limits.memory, yaml.memory.and_then(bytes));
        set(&mut limits.time, yaml.time.map(|span| span.0));
        set(
            &mut limits.compile_memory,
            yaml.compile_memory.map(|size| size.0),
        );
        set(
            &mut limits.compile_time,
            yaml.compile_time.map(|span| span.0),
        );
        set(&mut limits.instances, yaml.instances);
        set(&mut limits.output, yaml.output.and_then(bytes));
        set(&mut limits.results, yaml.results);
        set(&mut limits.log_lines, yaml.log_lines);
        set(&mut limits.size, yaml.size.map(|size| size.0));
        limits.recycle_after = yaml.recycle_after;
        if let Some(cpu) = yaml.cpu {
            if (0.01..=MAX_INSTANCES as f64).contains(&cpu) {
                // In range, and to a thousandth.
                limits.cpu_millis = (cpu * 1000.0).round() as u32;
            } else {
                let mark = self.mark(&["sinks", index, "plugin", "limits", "cpu"]);
                let problem = Problem::new(mark, "`cpu` is no number of cores");
                let hint = format!("write one from 0.01 to {MAX_INSTANCES}, such as `0.5`");
                self.problems.push(problem.hint(hint));
            }
        }
        limits
    }
}
