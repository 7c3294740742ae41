//! The names by which a plugin knows the endpoints of its sink: pure.

use std::{fmt, sync::Arc};

/// The name of the endpoint that a request goes to which names none.
pub const DEFAULT: &str = "default";

/// The names that a plugin may write. One of them may be [`DEFAULT`], which then comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Vec<Arc<str>>);

impl Names {
    /// These names, each once; [`DEFAULT`], if it is one of them, comes first.
    pub fn new(names: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self(names.into_iter().collect())
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<str>] {
        &self.0
    }

    /// The place of the endpoint that a request names; none if there is no such one.
    pub fn place(&self, name: Option<&str>) -> Option<usize> {
        let Some(name) = name else {
            return (&**self.0.first()? == DEFAULT).then_some(0);
        };
        self.0.iter().position(|other| **other == *name)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}`{name}`")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Names {
        Names::new(names.iter().map(|name| (*name).into()))
    }

    #[test]
    fn a_name_stands_for_its_place_and_none_for_that_of_the_default_one() {
        let both = names(&["default", "eu"]);
        let other = names(&["eu", "us"]);

        let places = |names: &Names| {
            [None, Some("default"), Some("eu"), Some("us")].map(|name| names.place(name))
        };

        assert_eq!(places(&both), [Some(0), Some(0), Some(1), None]);
        assert_eq!(places(&other), [None, None, Some(0), Some(1)]);
        assert_eq!(names(&[]).place(None), None);
    }

    #[test]
    fn names_are_kept_and_shown_in_their_order() {
        let both = names(&["default", "eu"]);

        assert_eq!(both.all(), ["default".into(), "eu".into()]);
        assert_eq!(both.to_string(), "`default`, `eu`");
    }
}
