//! Runs a case, and says what came of it.

use std::sync::Arc;

use super::{
    case::{Case, Wanted},
    compare::{Fill, Found, FoundRequest, masked},
    diff::{Line, diff},
    update,
    view::{Given, RequestView, Texts, View},
    workshop::Workshop,
};
use crate::{
    delivery::{
        DEFAULT, Endpoint, Endpoints, calls_of,
        settings::StatusPolicy,
        verdict::{Seen, Verdict, judge},
    },
    event::Event,
    network::{BaseUrl, HeaderRules},
    plugin::{
        CurrentCall, Handled, LoadError, LoadedPlugin, Method, Plugin, PluginError, ShapedRequest,
    },
};

/// Whether case files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// They are not.
    Never,
    /// What was found takes the place of what was expected.
    Expectations,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseEnd {
    /// It is as expected.
    Passed,
    /// It was not, and the file says now what was found: this is its text, which the caller writes.
    Updated(String),
    /// It is not.
    Failed {
        /// In a sentence.
        reason: String,
        /// What differs, line by line, if that is the reason.
        diff: Vec<Line>,
    },
}

impl CaseEnd {
    fn failed(reason: impl Into<String>) -> Self {
        Self::Failed {
            reason: reason.into(),
            diff: Vec::new(),
        }
    }
}

/// Where calls would go; nothing is sent.
const BASE: &str = "https://endpoint.test/";

impl Workshop {
    /// Runs a case. A plugin that breaks the contract or a limit fails it, whatever it expects.
    ///
    /// # Errors
    /// When the file is no plugin, whatever its configuration is: then no case can be run.
    pub async fn run(&self, case: &Case, update: Update) -> Result<CaseEnd, Box<LoadError>> {
        let loaded = self
            .load(&case.name, &case.config, case.grants.clone())
            .await;
        let plugin = match (loaded, &case.wanted) {
            (Err(LoadError::Configure { reason }), Wanted::ConfigureError(wanted)) => {
                return Ok(match (wanted.fit(&reason), update) {
                    (true, _) => CaseEnd::Passed,
                    (false, Update::Expectations) => {
                        let found = wanted.or_found(&reason);
                        CaseEnd::Updated(update::with_configure_error(case, &found))
                    }
                    (false, Update::Never) => CaseEnd::failed(format!(
                        "`configure` is refused with another message: {reason}"
                    )),
                });
            }
            (Err(LoadError::Configure { reason }), _) => {
                let refused = format!("the plugin refuses its configuration: {reason}");
                return Ok(CaseEnd::failed(refused));
            }
            (Err(LoadError::Start(error)), _) => {
                let failed = format!("the plugin could not be started: {error}");
                return Ok(CaseEnd::failed(failed));
            }
            (Err(error), _) => return Err(Box::new(error)),
            (Ok(_), Wanted::ConfigureError(_)) => {
                return Ok(CaseEnd::failed("`configure` is not refused"));
            }
            (Ok(plugin), _) => plugin,
        };
        let none = View::default();
        let wanted = match &case.wanted {
            Wanted::Answer(view) => view,
            _ => &none,
        };
        let found = match find(&plugin, case, wanted).await {
            Ok(found) => found,
            Err(reason) => return Ok(CaseEnd::failed(reason)),
        };
        Ok(judge_case(case, wanted, &found, update))
    }
}

fn judge_case(case: &Case, wanted: &View, found: &Found, update: Update) -> CaseEnd {
    let is_said = matches!(case.wanted, Wanted::Answer(_));
    if update == Update::Expectations {
        let full = masked(wanted, found, Fill::Verdicts);
        if is_said && full == *wanted {
            return CaseEnd::Passed;
        }
        return CaseEnd::Updated(update::with_expect(case, &full));
    }
    let seen = masked(wanted, found, Fill::Nothing);
    if is_said && seen == *wanted {
        return CaseEnd::Passed;
    }
    let reason = match is_said {
        true => "the plugin does something else",
        false => "the case has no `expect`: `--update` writes what is found",
    };
    CaseEnd::Failed {
        reason: reason.to_owned(),
        diff: diff(wanted, &seen),
    }
}

/// What the plugin makes of the case's batch; in words, why nothing of it would be used in a run.
async fn find(plugin: &LoadedPlugin, case: &Case, wanted: &View) -> Result<Found, String> {
    let events = &case.events;
    let shaped = match plugin.shape(events).await {
        Ok(shaped) => shaped,
        Err(PluginError::Refused(error)) => {
            return Ok(Found {
                error: Some(error),
                ..Found::default()
            });
        }
        Err(error) => return Err(format!("`shape` failed: {error}")),
    };
    let (drop, reject) = (shaped.drop.clone(), shaped.reject.clone());
    let calls = calls_of(shaped, &endpoints(&case.endpoints), case.order, events)?;
    let mut requests = Vec::new();
    for (number, (shaped, sent)) in calls.into_iter().enumerate() {
        let mut headers = Texts::new();
        for (name, value) in &sent.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let known = headers.entry(name.as_str().to_owned());
            known
                .and_modify(|known| *known = format!("{known}, {value}"))
                .or_insert_with(|| value.clone().into_owned());
        }
        let wanted = wanted.requests.get(number);
        let handled = handle(plugin, &shaped, events, wanted).await;
        let handled = handled.map_err(|(place, reason)| {
            format!("requests[{number}].responses[{place}]: {reason}")
        })?;
        requests.push(FoundRequest {
            method: method(shaped.method),
            endpoint: shaped.endpoint.clone().filter(|name| name != DEFAULT),
            target: shaped.target.clone(),
            headers,
            body: sent.body,
            events: shaped.events.clone(),
            handled,
        });
    }
    Ok(Found {
        error: None,
        requests,
        drop,
        reject,
    })
}

/// What the plugin says to each response, or the place of the one that it fails on, and how.
async fn handle(
    plugin: &LoadedPlugin,
    shaped: &Arc<ShapedRequest>,
    events: &[Arc<Event>],
    wanted: Option<&RequestView>,
) -> Result<Vec<Option<Handled>>, (usize, String)> {
    let responses = wanted.map_or(&[][..], |wanted| &wanted.responses);
    let own: Arc<[Arc<Event>]> = shaped
        .events
        .iter()
        .filter_map(|index| events.get(*index as usize).cloned())
        .collect();
    let mut all = Vec::new();
    for (place, response) in responses.iter().enumerate() {
        if !plugin.handles() {
            all.push(None);
            continue;
        }
        let Given {
            attempt, outcome, ..
        } = &response.given;
        let call = CurrentCall {
            attempt: *attempt,
            request: Arc::clone(shaped),
            events: Arc::clone(&own),
        };
        let handled = plugin.handle(call, outcome.clone()).await;
        let handled = handled.map_err(|error| (place, format!("`handle` failed: {error}")))?;
        let verdict = handled.verdict.clone();
        let policy = StatusPolicy::default();
        let judged = judge(&Seen::of(outcome), Some(Ok(verdict)), own.len(), &policy);
        if let Verdict::PluginFailed(reason) = judged {
            return Err((place, reason));
        }
        all.push(Some(handled));
    }
    Ok(all)
}

fn endpoints(names: &[String]) -> Endpoints {
    let base = BASE.parse().ok().and_then(|url| BaseUrl::new(&url).ok());
    let endpoint = Endpoint {
        base: base.expect("it is a URL"),
        headers: HeaderRules::default(),
        compression: None,
        call_ids: Vec::new(),
        attempt_header: None,
    };
    let names = std::iter::once(DEFAULT).chain(names.iter().map(String::as_str));
    Endpoints::new(names.map(|name| (Arc::from(name), endpoint.clone())))
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Head => "head",
        Method::Post => "post",
        Method::Put => "put",
        Method::Patch => "patch",
        Method::Delete => "delete",
    }
}
