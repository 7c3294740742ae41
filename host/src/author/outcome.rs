//! Runs a case, and says what came of it.

use std::sync::Arc;

use http::HeaderMap;

use super::{
    case::{Case, Wanted},
    compare::{Fill, Found, FoundRequest, masked},
    diff::{Difference, Line, diff, differences},
    mistake::Mistake,
    update,
    view::{Given, Texts, View},
    workshop::Workshop,
};
use crate::{
    delivery::{
        DEFAULT, Endpoint, Endpoints, calls_of,
        settings::StatusPolicy,
        verdict::{Seen, Verdict, judge},
    },
    event::Event,
    http::Request,
    network::{BaseUrl, HeaderRules},
    outcome::Outcome,
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
#[derive(Debug, Clone, PartialEq)]
pub enum CaseEnd {
    /// It is as expected.
    Passed,
    /// It was not, and the file says now what was found: this is its text, which the caller writes.
    Updated(String),
    /// It is not.
    Failed {
        /// In a sentence.
        reason: String,
        /// What the author can do about it.
        hint: Option<String>,
        /// What differs, line by line, if that is the reason.
        diff: Vec<Line>,
        /// The same, value by value.
        differences: Vec<Difference>,
    },
}

impl CaseEnd {
    fn failed(reason: impl Into<String>) -> Self {
        Self::Failed {
            reason: reason.into(),
            hint: None,
            diff: Vec::new(),
            differences: Vec::new(),
        }
    }
}

/// Where calls would go; nothing is sent.
pub(super) const BASE: &str = "https://endpoint.test/";

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
                        updated(case, update::with_configure_error(case, &found))
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
            Err(mistake) => {
                return Ok(CaseEnd::Failed {
                    reason: mistake.to_string(),
                    hint: mistake.hint(),
                    diff: Vec::new(),
                    differences: Vec::new(),
                });
            }
        };
        Ok(judge_case(case, wanted, &found, update))
    }
}

/// The case with another text, if that says the same of everything else.
fn updated(case: &Case, text: String) -> CaseEnd {
    if update::is_kept(case, &text) {
        return CaseEnd::Updated(text);
    }
    CaseEnd::Failed {
        reason: "what was found cannot be put into the file without changing what is around it"
            .to_owned(),
        hint: Some("write the case in block style, its keys at the margin".to_owned()),
        diff: Vec::new(),
        differences: Vec::new(),
    }
}

fn judge_case(case: &Case, wanted: &View, found: &Found, update: Update) -> CaseEnd {
    let is_said = matches!(case.wanted, Wanted::Answer(_));
    if update == Update::Expectations {
        let full = masked(wanted, found, Fill::Verdicts);
        if is_said && full == *wanted {
            return CaseEnd::Passed;
        }
        return updated(case, update::with_expect(case, &full));
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
        hint: found.requests.iter().enumerate().find_map(no_text),
        diff: diff(wanted, &seen),
        differences: differences(wanted, &seen),
    }
}

/// A request whose body is no text is often a mistake of encoding: worth a word where something is wrong.
fn no_text((number, request): (usize, &FoundRequest)) -> Option<String> {
    let kind = request.headers.get("content-type").map(String::as_str);
    let body = request.body.as_ref()?;
    Mistake::of_body(number, kind, body).map(|mistake| mistake.to_string())
}

/// What the plugin makes of the case's batch, or why nothing of it would be used in a run.
async fn find(plugin: &LoadedPlugin, case: &Case, wanted: &View) -> Result<Found, Mistake> {
    let events = &case.events;
    let shaped = match plugin.shape(events).await {
        Ok(shaped) => shaped,
        Err(PluginError::Refused(error)) => {
            return Ok(Found {
                error: Some(error),
                ..Found::default()
            });
        }
        Err(error) => return Err(Mistake::Shape(error)),
    };
    let (drop, reject) = (shaped.drop.clone(), shaped.reject.clone());
    let names = case.endpoints.iter().map(|name| (name.as_str(), BASE));
    let endpoints = endpoints(BASE, names).expect("they are URLs");
    let calls = calls_of(shaped, &endpoints, case.order, events).map_err(Mistake::Contract)?;
    let mut requests = Vec::new();
    for (number, (shaped, sent)) in calls.into_iter().enumerate() {
        let mut handled = Vec::new();
        let responses = wanted.requests.get(number);
        let responses = responses.map_or(&[][..], |wanted| &wanted.responses);
        for (place, response) in responses.iter().enumerate() {
            let Given {
                attempt, outcome, ..
            } = &response.given;
            let at = format!("requests[{number}].responses[{place}]");
            handled.push(handle(plugin, &shaped, events, *attempt, outcome, &at).await?);
        }
        requests.push(FoundRequest {
            handled,
            ..found_request(&shaped, sent)
        });
    }
    Ok(Found {
        error: None,
        requests,
        drop,
        reject,
    })
}

/// A request as the plugin made it and as it would be sent, without what comes of it.
pub(super) fn found_request(shaped: &ShapedRequest, sent: Request) -> FoundRequest {
    FoundRequest {
        method: method(shaped.method),
        endpoint: shaped.endpoint.clone().filter(|name| name != DEFAULT),
        target: shaped.target.clone(),
        headers: texts(&sent.headers),
        body: sent.body,
        events: shaped.events.clone(),
        handled: Vec::new(),
    }
}

fn texts(headers: &HeaderMap) -> Texts {
    let mut texts = Texts::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match texts.get_mut(name.as_str()) {
            Some(known) => *known = format!("{known}, {value}"),
            None => drop(texts.insert(name.as_str().to_owned(), value)),
        }
    }
    texts
}

/// What the plugin says to what came of a call; none if it judges nothing.
///
/// # Errors
/// When it fails, or says what it cannot.
pub(super) async fn handle(
    plugin: &LoadedPlugin,
    shaped: &Arc<ShapedRequest>,
    events: &[Arc<Event>],
    attempt: u32,
    outcome: &Outcome,
    at: &str,
) -> Result<Option<Handled>, Mistake> {
    if !plugin.handles() {
        return Ok(None);
    }
    let own = shaped.events.iter();
    let own: Arc<[Arc<Event>]> = own
        .filter_map(|index| events.get(*index as usize).cloned())
        .collect();
    let call = CurrentCall {
        attempt,
        request: Arc::clone(shaped),
        events: Arc::clone(&own),
    };
    let handled = plugin.handle(call, outcome.clone()).await;
    let handled = handled.map_err(|error| Mistake::Handle {
        at: at.to_owned(),
        error,
    })?;
    let verdict = handled.verdict.clone();
    let policy = StatusPolicy::default();
    match judge(&Seen::of(outcome), Some(Ok(verdict)), own.len(), &policy) {
        Verdict::PluginFailed(reason) => Err(Mistake::Verdict {
            at: at.to_owned(),
            reason,
        }),
        _ => Ok(Some(handled)),
    }
}

/// The default endpoint and those with a name, at these URLs. None if one of them cannot be an endpoint's.
pub(super) fn endpoints<'a>(
    default: &'a str,
    named: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<Endpoints> {
    let all = std::iter::once((DEFAULT, default)).chain(named);
    let all: Option<Vec<_>> = all
        .map(|(name, url)| {
            let base = BaseUrl::new(&url.parse().ok()?).ok()?;
            let endpoint = Endpoint {
                base,
                headers: HeaderRules::default(),
                compression: None,
                call_ids: Vec::new(),
                attempt_header: None,
            };
            Some((Arc::from(name), endpoint))
        })
        .collect();
    all.map(Endpoints::new)
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
