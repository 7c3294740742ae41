//! What two versions of a plugin make of the same batch, and where they differ.

use super::{Shaped, ShapedRequest};

/// Differences that are named; a plugin that writes another body differs in each request.
const NAMED: usize = 5;

/// Where answers to the same batch differ, in words; empty where they are the same.
pub fn differences(old: &Shaped, new: &Shaped) -> Vec<String> {
    let mut found = Vec::new();
    if old.headers != new.headers {
        found.push(format!(
            "shared headers: {:?}, now {:?}",
            old.headers, new.headers
        ));
    }
    let lists = [
        ("requests", old.requests.len(), new.requests.len()),
        ("dropped events", old.drop.len(), new.drop.len()),
        ("rejected events", old.reject.len(), new.reject.len()),
    ];
    for (what, old, new) in lists {
        if old != new {
            found.push(format!("{what}: {old}, now {new}"));
        }
    }
    for (number, (old, new)) in old.requests.iter().zip(&new.requests).enumerate() {
        let parts = parts(old, new);
        if !parts.is_empty() {
            found.push(format!("requests[{number}]: {}", parts.join(", ")));
        }
    }
    let more = found.len().saturating_sub(NAMED);
    found.truncate(NAMED);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

fn parts(old: &ShapedRequest, new: &ShapedRequest) -> Vec<String> {
    let mut parts = Vec::new();
    if old.method != new.method {
        parts.push(format!("method {:?}, now {:?}", old.method, new.method));
    }
    if old.endpoint != new.endpoint {
        parts.push(format!(
            "endpoint {:?}, now {:?}",
            old.endpoint, new.endpoint
        ));
    }
    if old.target != new.target {
        parts.push(format!("target `{}`, now `{}`", old.target, new.target));
    }
    if old.headers != new.headers {
        parts.push("other headers".to_owned());
    }
    if old.events != new.events {
        parts.push("other events".to_owned());
    }
    if old.body != new.body {
        parts.push("another body".to_owned());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{Method, ShapedBody};

    fn request(target: &str, body: &str) -> ShapedRequest {
        ShapedRequest {
            method: Method::Post,
            endpoint: None,
            target: target.to_owned(),
            headers: Vec::new(),
            body: ShapedBody::Bytes(body.to_owned().into()),
            events: vec![0],
        }
    }

    fn shaped(requests: Vec<ShapedRequest>) -> Shaped {
        Shaped {
            requests,
            ..Shaped::default()
        }
    }

    #[test]
    fn equal_answers_differ_in_nothing() {
        let answer = shaped(vec![request("a", "1")]);

        assert!(differences(&answer, &answer.clone()).is_empty());
    }

    #[test]
    fn each_part_that_differs_is_named_and_the_rest_counted() {
        let old = shaped((0..9).map(|_| request("a", "1")).collect());
        let mut new = shaped((0..8).map(|_| request("b", "2")).collect());
        new.drop = vec![8];

        let found = differences(&old, &new);

        assert_eq!(found[0], "requests: 9, now 8");
        assert_eq!(found[1], "dropped events: 0, now 1");
        assert_eq!(found[2], "requests[0]: target `a`, now `b`, another body");
        assert_eq!(found.last().expect("some"), "and 5 more");
    }
}
