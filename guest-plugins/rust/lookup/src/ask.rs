//! One request by wasi:http.

use wasip2::{
    http::{
        outgoing_handler,
        types::{Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme},
    },
    io::streams::StreamError,
};

/// What one write of wasi:io takes.
const CHUNK: usize = 4096;

/// Sends `body` to `url`: the status and the body of the answer, or why there is none.
pub(crate) fn post(url: &str, body: &[u8]) -> Result<(u16, Vec<u8>), String> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        _ => return Err(format!("`{url}` is no URL")),
    };
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    let headers = [("content-type".to_owned(), b"application/json".to_vec())];
    let headers = Fields::from_list(&headers).map_err(|error| format!("{error:?}"))?;
    let request = OutgoingRequest::new(headers);
    let invalid = |()| format!("`{url}` is no URL");
    request.set_method(&Method::Post).map_err(invalid)?;
    request.set_scheme(Some(&scheme)).map_err(invalid)?;
    request.set_authority(Some(authority)).map_err(invalid)?;
    request.set_path_with_query(Some(&path)).map_err(invalid)?;
    let outgoing = request.body().map_err(invalid)?;
    let answer = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    // Who does not want the body ends it: the answer says why.
    if write(&outgoing, body).is_ok() {
        let finished = OutgoingBody::finish(outgoing, None);
        finished.map_err(|code| format!("{code:?}"))?;
    }
    answer.subscribe().block();
    let response = answer.get().and_then(Result::ok).ok_or("no answer")?;
    let response = response.map_err(|code| format!("{code:?}"))?;
    Ok((response.status(), read(&response)?))
}

fn write(outgoing: &OutgoingBody, body: &[u8]) -> Result<(), String> {
    let stream = outgoing.write().map_err(|()| "it was taken".to_owned())?;
    for chunk in body.chunks(CHUNK) {
        let written = stream.blocking_write_and_flush(chunk);
        written.map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, String> {
    let body = response.consume().map_err(|()| "it was taken".to_owned())?;
    let stream = body.stream().map_err(|()| "it was taken".to_owned())?;
    let mut whole = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(bytes) => whole.extend(bytes),
            Err(StreamError::Closed) => return Ok(whole),
            Err(error) => return Err(format!("{error:?}")),
        }
    }
}
