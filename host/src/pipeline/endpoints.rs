//! Opens the endpoints of a module, each once for all of its sinks.

use std::sync::Arc;

use http::header::CONTENT_ENCODING;
use tokio::time::Instant;

use super::StartError;
use crate::{
    auth::AuthSettings,
    config::{EndpointConfig, Module},
    delivery::{Endpoint, gate::Gate},
    http::HttpClient,
    network::{BaseUrl, HeaderRules},
};

/// An endpoint that sinks may share: its connections, and what lets calls through to it.
pub(super) struct Way {
    /// Its URL as it is written, for traces.
    pub(super) label: String,
    pub(super) endpoint: Endpoint,
    pub(super) client: Arc<HttpClient>,
    pub(super) gate: Gate,
}

pub(super) fn open_endpoints(module: &Module) -> Result<Vec<Way>, StartError> {
    let open = |(index, config): (usize, &EndpointConfig)| {
        let sinks = module.sinks.iter().filter(|sink| sink.endpoint == index);
        let sinks: Vec<_> = sinks.map(|sink| &sink.delivery).collect();
        let connections = sinks.iter().map(|sink| sink.in_flight.max_calls).sum();
        let client = HttpClient::new(&config.settings, connections).map_err(|source| {
            StartError::Endpoint {
                endpoint: config.name.clone(),
                source,
            }
        })?;
        Ok(Way {
            label: config.settings.label.clone(),
            endpoint: endpoint_of(config)?,
            client: Arc::new(client),
            gate: Gate::new(&config.gate, sinks, Instant::now()),
        })
    };
    module.endpoints.iter().enumerate().map(open).collect()
}

/// What the engine must know of an endpoint.
///
/// # Errors
/// When its URL is none that requests can be made of.
pub fn endpoint_of(config: &EndpointConfig) -> Result<Endpoint, StartError> {
    let settings = &config.settings;
    let base = BaseUrl::new(&settings.url).map_err(|source| StartError::BaseUrl {
        endpoint: config.name.clone(),
        source,
    })?;
    let configured = settings.headers.iter().map(|(name, _)| name.clone());
    let auth = settings.auth.as_ref();
    let authenticating = auth.map(AuthSettings::headers).unwrap_or_default();
    let own = settings.key_header.iter().chain(&settings.attempt_header);
    let reserved = configured
        .chain(authenticating)
        .chain(own.cloned())
        .chain([CONTENT_ENCODING]);
    let headers = HeaderRules::new(reserved.collect());
    Ok(Endpoint {
        base,
        headers,
        compression: settings.compression,
        call_ids: auth
            .and_then(AuthSettings::call_id_header)
            .into_iter()
            .chain(settings.key_header.clone())
            .collect(),
        attempt_header: settings.attempt_header.clone(),
    })
}
