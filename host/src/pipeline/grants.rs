//! What plugins are granted, made of the parts that have it.

use std::{path::Path, pin::Pin, sync::Arc};

use bytes::Bytes;

use crate::{
    config::Module,
    http::{Fetcher, Request, settings::Environment},
    outcome::Failure,
    plugin::{Fetch, FetchError, Services},
};

/// What the plugins of `module` can be granted. Their stores are below `state_dir`; without one they are gone with the process.
pub fn services(module: &Module, state_dir: Option<&Path>) -> Services {
    let proxies = Environment::read(|name| std::env::var(name).ok());
    let fetcher = Fetcher::new(Arc::clone(&module.network), proxies);
    let stores = state_dir.map(|folder| folder.join("keyvalue"));
    Services::new(Arc::new(Client(Arc::new(fetcher))), stores)
}

/// The client of endpoints, for plugins.
#[derive(Debug)]
struct Client(Arc<Fetcher>);

impl Fetch for Client {
    fn fetch(
        &self,
        request: http::Request<Bytes>,
        max_response: usize,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, FetchError>> + Send>> {
        let fetcher = Arc::clone(&self.0);
        let (parts, body) = request.into_parts();
        let request = Request {
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body: (!body.is_empty()).then_some(body),
        };
        Box::pin(async move {
            let sent = fetcher.send(request, max_response).await;
            let response = sent.map_err(|failure| match failure {
                Failure::Connect(why) => FetchError::Connect(why),
                Failure::Tls(why) => FetchError::Tls(why),
                Failure::Protocol(why) => FetchError::Protocol(why),
                other => FetchError::Protocol(other.to_string()),
            })?;
            if response.truncated {
                return Err(FetchError::TooLarge(max_response));
            }
            let mut answer = http::Response::new(response.body);
            *answer.status_mut() = http::StatusCode::from_u16(response.status)
                .map_err(|error| FetchError::Protocol(error.to_string()))?;
            *answer.headers_mut() = response.headers;
            Ok(answer)
        })
    }
}
