//! What is answered to a request: first whether it may be asked, then what the board shows, or what was changed.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Board, SinkView,
    access::Access,
    api::{Changed, Draining, IngressInfo, Ingresses, Live, PluginInfo, Plugins, Ready, Sinks},
    audit::{self, Peer},
    openapi::openapi,
    problem::Refusal,
    process, record,
    routes::{Does, Found, Need, Route, find},
    status::{SinkMode, SinkStatus},
    swap,
};
use crate::{
    delivery::control::Mode,
    event::now_ms,
    metrics::{Exposition, Format},
    plugin::Swapped,
};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// What is read of a body, in bytes: enough to see that it is one.
const MAX_BODY: usize = 16 * 1024;

/// An answer, and what is to be cancelled when it has been sent.
pub(super) struct Answered {
    pub(super) response: Response<Full<Bytes>>,
    pub(super) then: Option<CancellationToken>,
}

impl From<Response<Full<Bytes>>> for Answered {
    fn from(response: Response<Full<Bytes>>) -> Self {
        Self {
            response,
            then: None,
        }
    }
}

/// Answers a request. `patience` is set once it may take longer than others.
pub(super) async fn answer(
    request: Request<Incoming>,
    board: &Board,
    access: &Access,
    peer: &Peer,
    patience: &AtomicBool,
) -> Answered {
    let (head, body) = request.into_parts();
    let asked = find(&head.method, head.uri.path());
    let answered = match &asked {
        Found::Route(route, id) => {
            let sink = id.as_deref().unwrap_or_default();
            let line =
                (route.need == Need::Change).then(|| audit::Line::new(*peer, route.id, sink));
            let answered = ask(&head, body, route, sink, board, access, patience).await;
            if let Some(line) = line {
                line.ends(answered.as_ref().map(|done| &*done.result));
            }
            answered.map(|done| done.answered)
        }
        Found::Methods(allowed) => access
            .check_source(&head)
            .and(Err(Refusal::WrongMethod(allowed))),
        Found::Nothing => access.check_source(&head).and(Err(Refusal::NotFound)),
    };
    answered.unwrap_or_else(|refusal| refused(&refusal).into())
}

/// What was done, and how the audit log calls that.
struct Done {
    answered: Answered,
    result: String,
}

impl From<Response<Full<Bytes>>> for Done {
    fn from(response: Response<Full<Bytes>>) -> Self {
        Self {
            answered: response.into(),
            result: String::new(),
        }
    }
}

async fn ask(
    head: &Parts,
    body: Incoming,
    route: &Route,
    sink: &str,
    board: &Board,
    access: &Access,
    patience: &AtomicBool,
) -> Result<Done, Refusal> {
    access.check_source(head)?;
    access.check(head, route.need).await?;
    if route.does == Does::Swap {
        let view = the_sink(board, sink)?;
        // A compilation takes its time.
        patience.store(true, Relaxed);
        return Ok(swapped(&swap::swap(&view, head, body).await?));
    }
    if route.method == Method::POST {
        no_body(body).await?;
    }
    let response = match route.does {
        Does::Metrics => metrics(head, board),
        Does::Live => json_of(StatusCode::OK, &Live { live: true }),
        Does::Ready => ready(board),
        Does::Status => json_of(StatusCode::OK, &board.status()),
        Does::OpenApi => json_of(StatusCode::OK, &openapi()),
        Does::Sinks => {
            let sinks = board.views().as_ref().map(|views| {
                let sinks = views.sinks.iter().map(SinkStatus::of);
                sinks.collect()
            });
            let sinks = sinks.ok_or(Refusal::Starting)?;
            json_of(StatusCode::OK, &Sinks { sinks })
        }
        Does::Sink => json_of(StatusCode::OK, &SinkStatus::of(&the_sink(board, sink)?)),
        Does::Plugins => {
            let plugins = board.views().as_ref().map(|views| {
                let plugins = views.sinks.iter().map(PluginInfo::of);
                plugins.collect()
            });
            let plugins = plugins.ok_or(Refusal::Starting)?;
            json_of(StatusCode::OK, &Plugins { plugins })
        }
        Does::Ingresses => {
            let now = now_ms();
            let ingresses = board.views().as_ref().map(|views| {
                let ingresses = views.ingresses.iter();
                ingresses.map(|view| IngressInfo::of(view, now)).collect()
            });
            let ingresses = ingresses.ok_or(Refusal::Starting)?;
            json_of(StatusCode::OK, &Ingresses { ingresses })
        }
        Does::Pause => return steer(board, sink, Mode::Pause).await,
        Does::Resume => return steer(board, sink, Mode::Run).await,
        Does::Drain => return steer(board, sink, Mode::Drain).await,
        Does::DrainHost => return drain_host(board),
        Does::Reload => {
            // Sinks deliver what they have first, and plugins are compiled.
            patience.store(true, Relaxed);
            return reload(board).await;
        }
        Does::Swap => unreachable!("it has a body, and was done"),
        Does::Record => {
            let ask = record::ask(head.uri.query())?;
            let view = the_sink(board, sink)?;
            // It waits for what comes.
            patience.store(true, Relaxed);
            return recorded(&view, ask).await;
        }
        Does::Rollback => {
            let view = the_sink(board, sink)?;
            patience.store(true, Relaxed);
            return Ok(swapped(&swap::rollback(&view).await?));
        }
    };
    Ok(response.into())
}

fn swapped(swapped: &Swapped) -> Done {
    Done {
        answered: json_of(StatusCode::OK, swapped).into(),
        result: format!("generation {} {}", swapped.generation, swapped.digest),
    }
}

/// The other routes take none: what somebody believes to have asked with it would not be done.
async fn no_body(body: Incoming) -> Result<(), Refusal> {
    if body.is_end_stream() {
        return Ok(());
    }
    let body = Limited::new(body, MAX_BODY).collect().await;
    let body = body
        .map_err(|_| Refusal::BodyTooLarge(MAX_BODY))?
        .to_bytes();
    body.is_empty().then_some(()).ok_or(Refusal::Body)
}

fn the_sink(board: &Board, id: &str) -> Result<SinkView, Refusal> {
    let views = board.views();
    let sinks = &views.as_ref().ok_or(Refusal::Starting)?.sinks;
    let found = sinks.iter().find(|sink| *sink.id == *id).cloned();
    found.ok_or_else(|| Refusal::NoSink {
        asked: id.to_owned(),
        there: sinks.iter().map(|sink| sink.id.to_string()).collect(),
    })
}

async fn steer(board: &Board, id: &str, mode: Mode) -> Result<Done, Refusal> {
    let view = the_sink(board, id)?;
    let was = SinkMode::of(&view);
    let ended = |_| Refusal::SinkEnded(id.to_owned());
    view.control.set(mode).await.map_err(ended)?;
    let sink = SinkStatus::of(&view);
    let result = format!("{} was {}", sink.mode, was);
    let response = json_of(StatusCode::OK, &Changed { was, sink });
    Ok(Done {
        answered: response.into(),
        result,
    })
}

fn drain_host(board: &Board) -> Result<Done, Refusal> {
    if board.views().is_none() {
        return Err(Refusal::Starting);
    }
    let response = json_of(StatusCode::ACCEPTED, &Draining { draining: true });
    Ok(Done {
        answered: Answered {
            response,
            then: Some(board.drain.clone()),
        },
        result: "the host drains".to_owned(),
    })
}

async fn recorded(view: &SinkView, ask: record::Ask) -> Result<Done, Refusal> {
    if view.control.has_ended() {
        return Err(Refusal::SinkEnded(view.id.to_string()));
    }
    let records = view.records.as_ref().ok_or(Refusal::Starting)?;
    let recorded = records.record(ask).await;
    let recorded = recorded.map_err(|_| Refusal::Recorded(view.id.to_string()))?;
    Ok(Done {
        answered: json_of(StatusCode::OK, &recorded).into(),
        result: format!(
            "recorded {} of {} batches",
            recorded.cases.len(),
            ask.batches
        ),
    })
}

async fn reload(board: &Board) -> Result<Done, Refusal> {
    if board.views().is_none() {
        return Err(Refusal::Starting);
    }
    let reloads = board.reloads.get().ok_or(Refusal::NoModuleFile)?;
    let reloaded = reloads.reload().await?;
    Ok(Done {
        answered: json_of(StatusCode::OK, &reloaded).into(),
        result: format!("changed: {}", reloaded.words()),
    })
}

fn ready(board: &Board) -> Response<Full<Bytes>> {
    let reasons = Board::not_ready(board.views().as_ref());
    let ready = reasons.is_empty();
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    json_of(status, &Ready { ready, reasons })
}

/// Every metric of the host.
fn metrics(head: &Parts, board: &Board) -> Response<Full<Bytes>> {
    let accept = head.headers.get_all(http::header::ACCEPT).iter();
    let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&accept.join(","));
    let views = board.views();
    let ready = Board::not_ready(views.as_ref()).is_empty();
    board.stats.ready.set(usize::from(ready));
    process::read(&board.process);
    let mut text = Exposition::new(format);
    text.table([("", &board.stats)].into_iter());
    text.table([("", &board.process)].into_iter());
    if let Some(views) = &*views {
        text.table(views.ingresses.iter().map(|view| (&*view.id, view.stats())));
        text.table(views.sinks.iter().map(|view| (&*view.id, &*view.stats)));
        text.table(views.sinks.iter().map(|view| (&*view.id, &*view.plugin)));
        text.table(views.egresses.iter().map(|view| (&*view.id, &*view.stats)));
        text.table([("", &*views.progress)].into_iter());
        text.table([("", &*views.traces)].into_iter());
    }
    respond(StatusCode::OK, format.content_type(), text.finish())
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    let problem = refusal.problem();
    let mut response = respond(refusal.status(), PROBLEM, line_of(&json!(problem)));
    let headers = response.headers_mut();
    match refusal {
        Refusal::NoToken(_) => {
            let ask = HeaderValue::from_static("Bearer realm=\"nozzle\"");
            headers.insert(WWW_AUTHENTICATE, ask);
        }
        Refusal::WrongToken(_) => {
            let ask = HeaderValue::from_static("Bearer realm=\"nozzle\", error=\"invalid_token\"");
            headers.insert(WWW_AUTHENTICATE, ask);
        }
        Refusal::WrongMethod(allowed) => {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        _ => {}
    }
    response
}

fn line_of(body: &impl Serialize) -> String {
    let mut text = serde_json::to_string(body).unwrap_or_default();
    text.push('\n');
    text
}

fn json_of(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    respond(status, JSON, line_of(body))
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
