//! What is answered to a request: a function of the request's head and what the board shows.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::Full;
use serde::Serialize;
use serde_json::json;

use super::{Board, process};
use crate::metrics::{Exposition, Format};

const JSON: &str = "application/json";

pub(super) fn answer(head: &Parts, board: &Board) -> Response<Full<Bytes>> {
    let known = match head.uri.path() {
        "/metrics" => {
            let accept = head.headers.get_all(http::header::ACCEPT).iter();
            let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
            let format = Format::accepted(&accept.join(","));
            let text = metrics(board, format);
            respond(StatusCode::OK, format.content_type(), text)
        }
        "/live" => json_of(StatusCode::OK, &json!({ "live": true })),
        "/ready" => {
            let reasons = Board::not_ready(board.views().as_ref());
            let status = match reasons.is_empty() {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            let ready = reasons.is_empty();
            json_of(status, &json!({ "ready": ready, "reasons": reasons }))
        }
        "/status" => json_of(StatusCode::OK, &board.status()),
        _ => {
            let paths = ["/metrics", "/live", "/ready", "/status"];
            return json_of(StatusCode::NOT_FOUND, &json!({ "paths": paths }));
        }
    };
    if [Method::GET, Method::HEAD].contains(&head.method) {
        return known;
    }
    let mut refused = json_of(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({ "methods": ["GET", "HEAD"] }),
    );
    let allowed = HeaderValue::from_static("GET, HEAD");
    refused.headers_mut().insert(ALLOW, allowed);
    refused
}

/// Every metric of the host.
fn metrics(board: &Board, format: Format) -> String {
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
        text.table([("", &*views.traces)].into_iter());
    }
    text.finish()
}

fn json_of(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let mut text = serde_json::to_string(body).unwrap_or_default();
    text.push('\n');
    respond(status, JSON, text)
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
