//! The responses of a case, and what the plugin is to say of them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Check, lower_case, words};
use crate::{
    author::{
        case::yaml::{
            EachYaml, FailureYaml, ResponseYaml, ResultYaml, VerdictWithYaml, VerdictYaml,
        },
        view::{Body, EachView, Given, ResponseView, ResultView, Texts, VerdictView},
    },
    outcome::{Failure, Outcome, Response},
};

impl Check<'_> {
    pub(super) fn response(&mut self, at: &[&str], yaml: ResponseYaml) -> ResponseView {
        let body = self.body(at, ("body", yaml.body), yaml.base64, yaml.json);
        let headers = lower_case(yaml.headers);
        let outcome: Outcome = match (yaml.status, yaml.failure) {
            (Some(status), None) => Ok(Response {
                status,
                headers: self.headers(at, &headers),
                body: body.as_ref().map_or(Bytes::new(), Body::bytes),
                truncated: yaml.truncated,
            }),
            (None, Some(failure)) => {
                if body.is_some() || !headers.is_empty() {
                    let message =
                        "where no complete response came, there are no headers and no body";
                    self.wrong(at, message, "leave them out, or write `status`");
                }
                Err(self.failure(at, failure))
            }
            _ => {
                let message = "a response has a `status` or a `failure`, and one of them";
                self.wrong(at, message, "write `status: 200`, or `failure: timeout`");
                Err(Failure::Timeout)
            }
        };
        let verdict = yaml.verdict.and_then(|verdict| self.verdict(at, verdict));
        let results = yaml.results.into_iter().enumerate();
        ResponseView {
            given: Given {
                attempt: yaml.attempt.unwrap_or(1),
                outcome,
                body,
                headers,
            },
            verdict,
            results: results
                .map(|(place, result)| {
                    let place = place.to_string();
                    self.result(&[at, &["results", &place]].concat(), result)
                })
                .collect(),
        }
    }

    fn headers(&mut self, at: &[&str], texts: &Texts) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in texts {
            let header = HeaderName::from_bytes(name.as_bytes());
            match (header, HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => {
                    headers.append(name, value);
                }
                _ => {
                    let at = [at, &["headers"]].concat();
                    let message = format!("`{name}` is no header that a response can have");
                    self.wrong(&at, message, "write a name and a text");
                }
            }
        }
        headers
    }

    fn failure(&mut self, at: &[&str], yaml: FailureYaml) -> Failure {
        let at = [at, &["failure"]].concat();
        let hint = "write `timeout`, or one of `connect`, `tls` and `protocol` with a text";
        match yaml {
            FailureYaml::Word(word) if word == "timeout" => return Failure::Timeout,
            FailureYaml::Word(word) => {
                self.wrong(&at, format!("`{word}` is no failure"), hint);
            }
            FailureYaml::With(with) => match (with.connect, with.tls, with.protocol) {
                (Some(text), None, None) => return Failure::Connect(text),
                (None, Some(text), None) => return Failure::Tls(text),
                (None, None, Some(text)) => return Failure::Protocol(text),
                _ => self.wrong(&at, "a call fails in one way", hint),
            },
        }
        Failure::Timeout
    }

    fn verdict(&mut self, at: &[&str], yaml: VerdictYaml) -> Option<VerdictView> {
        let at = [at, &["verdict"]].concat();
        let hint = "write `delivered`, `by-status`, `retry`, or one of `retry: MILLISECONDS`, `reject: TEXT` and `each: […]`";
        match yaml {
            VerdictYaml::Word(word) => match word.as_str() {
                "delivered" => return Some(VerdictView::Delivered),
                "by-status" => return Some(VerdictView::ByStatus),
                "retry" => return Some(VerdictView::Retry(None)),
                _ => self.wrong(&at, format!("`{word}` is no verdict"), hint),
            },
            VerdictYaml::With(VerdictWithYaml {
                retry,
                reject,
                each,
            }) => match (retry, reject, each) {
                (Some(wait), None, None) => return Some(VerdictView::Retry(Some(wait))),
                (None, Some(said), None) => return Some(VerdictView::Reject(words(said))),
                (None, None, Some(each)) => {
                    let each = each.into_iter().enumerate();
                    let each = each.filter_map(|(place, one)| self.each(&at, place, one));
                    return Some(VerdictView::Each(each.collect()));
                }
                _ => self.wrong(&at, "there is one verdict", hint),
            },
        }
        None
    }

    fn each(&mut self, at: &[&str], place: usize, yaml: EachYaml) -> Option<EachView> {
        let word = match yaml {
            EachYaml::With(with) => return Some(EachView::Reject(words(with.reject))),
            EachYaml::Word(word) => word,
        };
        match word.as_str() {
            "delivered" => Some(EachView::Delivered),
            "retry" => Some(EachView::Retry),
            _ => {
                let place = place.to_string();
                let at = [at, &["each", &place]].concat();
                let message = format!("`{word}` is no verdict for an event");
                self.wrong(&at, message, "write `delivered`, `retry` or `reject: TEXT`");
                None
            }
        }
    }

    fn result(&mut self, at: &[&str], yaml: ResultYaml) -> ResultView {
        ResultView {
            key: yaml.key,
            attributes: yaml.attributes,
            data: self.body(at, ("data", yaml.data), yaml.base64, yaml.json),
        }
    }
}
