//! From a batch that passed through a sink to a case file: what the plugin made of it is what it must make of it again.

mod clean;

use serde_json::Value;

use self::clean::Clean;
use super::{
    compare::{Fill, Found, masked},
    outcome::{BASE, endpoints, found_request},
    secrets::{Remover, Secrets},
    show,
    tree::{Tree, write_map},
    view::View,
};
use crate::{
    delivery::{
        DEFAULT, calls_of,
        settings::Order,
        tap::{Made, Taken},
    },
    plugin::settings::GrantSettings,
};

/// Where batches were recorded.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The sink's id.
    pub sink: String,
    /// When, as RFC 3339.
    pub recorded: String,
    /// The endpoints that the sink grants.
    pub endpoints: Vec<String>,
    /// The sink's `order`.
    pub order: Order,
}

/// A batch as a case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedText {
    /// The file.
    pub text: String,
    /// Whether something was taken out of it: then it may not pass.
    pub is_altered: bool,
}

/// The text of a case that the plugin which shaped the batch passes, without `secrets`.
///
/// # Errors
/// When nothing could be sent of the batch, in words.
pub fn case_of(taken: &Taken, origin: &Origin, secrets: &Secrets) -> Result<RecordedText, String> {
    let found = found(taken, origin)?;
    let mut clean = Clean::new(secrets);
    let mut view = masked(&View::default(), &clean.found(found), Fill::Nothing);
    for (request, attempts) in view.requests.iter_mut().zip(&taken.attempts) {
        request.responses = attempts.iter().map(|one| clean.judged(one)).collect();
    }
    let config: Value = serde_json::from_str(&taken.identity.config).unwrap_or_default();
    let mut entries = vec![(
        "config".to_owned(),
        Tree::json(&clean.remover.json(&config)),
    )];
    let mut entry = |key: &str, tree: Tree| entries.push((key.to_owned(), tree));
    let grants = grants(&taken.identity.grants, &mut clean.remover);
    if !grants.is_empty() {
        entry("grants", Tree::Map(grants));
    }
    let named = origin.endpoints.iter().filter(|name| *name != DEFAULT);
    let named: Vec<Tree> = named.map(Tree::text).collect();
    if !named.is_empty() {
        entry("endpoints", Tree::List(named));
    }
    match origin.order {
        Order::None => {}
        Order::Key => entry("order", Tree::text("key")),
        Order::Strict => entry("order", Tree::text("strict")),
    }
    let events = taken.events.iter();
    let events = events.map(|event| clean.event(event));
    entry("events", Tree::List(events.collect()));
    entry("expect", Tree::Map(show::tree(&view)));
    let is_altered = clean.is_altered();
    let about = clean.about(taken, origin);
    entries.insert(0, ("about".to_owned(), Tree::Text(about)));
    let mut text = String::new();
    write_map(&entries, &mut text, 0);
    Ok(RecordedText { text, is_altered })
}

/// What the plugin made of the batch, as a test of it would find it.
fn found(taken: &Taken, origin: &Origin) -> Result<Found, String> {
    let shaped = match &taken.made {
        Made::Nothing => return Err("the plugin has not answered".to_owned()),
        Made::Refused(reason) => {
            return Ok(Found {
                error: Some(reason.clone()),
                ..Found::default()
            });
        }
        Made::Shaped(shaped) => shaped.clone(),
    };
    let (drop, reject) = (shaped.drop.clone(), shaped.reject.clone());
    let named = origin.endpoints.iter().filter(|name| *name != DEFAULT);
    let named = named.map(|name| (name.as_str(), BASE));
    let endpoints = endpoints(BASE, named).expect("they are URLs");
    let calls = calls_of(shaped, &endpoints, origin.order, &taken.events)?;
    let requests = calls
        .into_iter()
        .map(|(shaped, sent)| found_request(&shaped, sent));
    Ok(Found {
        error: None,
        requests: requests.collect(),
        drop,
        reject,
    })
}

fn grants(grants: &GrantSettings, remover: &mut Remover<'_>) -> Vec<(String, Tree)> {
    let given = [
        ("clock", grants.clock),
        ("random", grants.random),
        ("http", grants.http.is_some()),
        ("keyvalue", grants.keyvalue.is_some()),
    ];
    let given = given.into_iter().filter(|(_, is_given)| *is_given);
    let mut entries: Vec<_> = given
        .map(|(name, _)| (name.to_owned(), Tree::Plain("true".to_owned())))
        .collect();
    let env = grants.env.iter();
    let env: Vec<_> = env
        .map(|one| (one.name.clone(), Tree::Text(remover.text(&one.value))))
        .collect();
    if !env.is_empty() {
        entries.push(("env".to_owned(), Tree::Map(env)));
    }
    entries
}

#[cfg(test)]
mod tests;
