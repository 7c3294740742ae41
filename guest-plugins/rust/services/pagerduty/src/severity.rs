//! PagerDuty has four severities; others have more names.

use std::collections::BTreeMap;

/// Names and the severities that they mean.
#[derive(Debug)]
pub struct Severities(BTreeMap<String, &'static str>);

impl Severities {
    /// `names` go before those that are known.
    pub fn new(names: BTreeMap<String, String>) -> Result<Self, String> {
        let severity = |(name, severity): (String, String)| {
            let known = match severity.as_str() {
                "critical" => "critical",
                "error" => "error",
                "warning" => "warning",
                "info" => "info",
                _ => {
                    return Err(format!(
                        "`severities`: `{severity}` is none of critical, error, warning, info"
                    ));
                }
            };
            Ok((name.to_lowercase(), known))
        };
        names
            .into_iter()
            .map(severity)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The severity that a name means, in upper or lower case.
    pub fn find(&self, name: &str) -> Result<&'static str, String> {
        let lower = name.trim().to_lowercase();
        let known = match lower.as_str() {
            "critical" | "crit" | "fatal" | "emergency" | "emerg" | "alert" | "panic" => "critical",
            "error" | "err" => "error",
            "warning" | "warn" => "warning",
            "info" | "information" | "informational" | "notice" | "debug" | "trace" => "info",
            _ => "",
        };
        match self.0.get(&lower) {
            Some(severity) => Ok(severity),
            None if known.is_empty() => Err(format!(
                "the severity `{name}` is none of critical, error, warning, info, and not in `severities`"
            )),
            None => Ok(known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_severities() {
        let names = [("P1", "critical"), ("warn", "info")];
        let names = names.map(|(name, severity)| (name.to_owned(), severity.to_owned()));
        let severities = Severities::new(names.into()).expect("they are good");

        for (name, expected) in [
            ("critical", Some("critical")),
            ("FATAL", Some("critical")),
            ("p1", Some("critical")),
            ("P1", Some("critical")),
            ("err", Some("error")),
            ("warn", Some("info")),
            ("Warning ", Some("warning")),
            ("notice", Some("info")),
            ("P2", None),
            ("", None),
        ] {
            assert_eq!(severities.find(name).ok(), expected, "{name}");
        }
        let bad = BTreeMap::from([("a".to_owned(), "high".to_owned())]);
        assert!(Severities::new(bad).is_err());
    }
}
