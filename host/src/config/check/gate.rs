//! How much an endpoint is given at a time: concurrency and rate.

use std::num::NonZeroU64;

use super::Checker;
use crate::{
    config::shape::endpoint::{ConcurrencyStrategyYaml, ConcurrencyYaml, RateYaml},
    delivery::gate::settings::{AimdSettings, Concurrency, GateSettings},
};

impl Checker<'_> {
    pub(super) fn gate(
        &mut self,
        place: &[&str],
        concurrency: &ConcurrencyYaml,
        rate: &RateYaml,
    ) -> GateSettings {
        if concurrency.strategy != ConcurrencyStrategyYaml::Aimd {
            self.only_aimd(place, concurrency);
        }
        if concurrency
            .decrease
            .is_some_and(|decrease| !(decrease > 0.0 && decrease < 1.0))
        {
            let message = "`concurrency.decrease` must be above 0 and below 1: it is what remains";
            self.wrong(
                place,
                &["concurrency", "decrease"],
                message.to_owned(),
                None,
            );
        }
        if rate.bytes_per_second.is_some_and(|size| size.0 == 0) {
            let message = "`rate.bytes-per-second` must be larger than 0";
            self.wrong(
                place,
                &["rate", "bytes-per-second"],
                message.to_owned(),
                None,
            );
        }
        let defaults = AimdSettings::default();
        GateSettings {
            concurrency: match concurrency.strategy {
                ConcurrencyStrategyYaml::Fixed => Concurrency::Fixed,
                ConcurrencyStrategyYaml::Adaptive => Concurrency::Adaptive,
                ConcurrencyStrategyYaml::Aimd => Concurrency::Aimd(AimdSettings {
                    initial: concurrency.initial,
                    increase: concurrency.increase.unwrap_or(defaults.increase),
                    decrease: concurrency.decrease.unwrap_or(defaults.decrease),
                    slow_start: concurrency.slow_start.unwrap_or(defaults.slow_start),
                }),
            },
            max_calls: concurrency.max_calls,
            calls_per_second: rate.calls_per_second.and_then(NonZeroU64::new),
            bytes_per_second: rate
                .bytes_per_second
                .and_then(|size| NonZeroU64::new(size.0)),
        }
    }

    fn only_aimd(&mut self, place: &[&str], yaml: &ConcurrencyYaml) {
        let given = [
            ("initial", yaml.initial.is_some()),
            ("increase", yaml.increase.is_some()),
            ("decrease", yaml.decrease.is_some()),
            ("slow-start", yaml.slow_start.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            let message = format!("`concurrency.{key}` means nothing but under `strategy: aimd`");
            self.wrong(place, &["concurrency", key], message, None);
        }
    }
}
