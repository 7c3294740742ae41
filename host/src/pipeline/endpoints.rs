//! Opens the endpoints of a module, each once for all of its sinks.

use std::sync::Arc;

use http::header::CONTENT_ENCODING;
use tokio::time::Instant;

use super::StartError;
use crate::{
    auth::AuthSettings,
    causes::explain,
    config::{EndpointConfig, Module, Problem, SinkConfig},
    delivery::{Endpoint, Endpoints, gate::Gate, settings::DeliverySettings},
    http::HttpClient,
    network::{BaseUrl, HeaderRules},
};

/// An endpoint that sinks may share: its connections, and what lets calls through to it.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    /// Its URL as it is written, for traces.
    pub(super) label: String,
    pub(super) client: Arc<HttpClient>,
    /// Idle ones that the client keeps at most.
    connections: usize,
    pub(super) gate: Gate,
}

/// Those of `before` that stay as they are, by place, are used on; they are to be [fit](fit_endpoints). Where more calls may be in
/// flight than the client keeps connections for, the sinks that begin get another one.
pub(super) fn open_endpoints(
    module: &Module,
    before: impl Fn(usize) -> Option<Opened>,
) -> Result<Vec<Opened>, StartError> {
    let open = |(index, config): (usize, &EndpointConfig)| {
        let sinks = users_of(module, index);
        let calls = sinks.iter().map(|sink| sink.in_flight.max_calls);
        let connections = calls.fold(0, usize::saturating_add);
        let before = before(index);
        if let Some(before) = &before
            && before.connections >= connections
        {
            return Ok(before.clone());
        }
        let client = HttpClient::new(&config.settings, connections).map_err(|source| {
            StartError::Endpoint {
                endpoint: config.name.clone(),
                source,
            }
        })?;
        Ok(Opened {
            label: config.settings.label.clone(),
            client: Arc::new(client),
            connections,
            gate: match before {
                Some(before) => before.gate,
                None => Gate::new(&config.gate, sinks, Instant::now()),
            },
        })
    };
    module.endpoints.iter().enumerate().map(open).collect()
}

/// The sinks of each endpoint are those of the module from now on.
pub(super) fn fit_endpoints(module: &Module, endpoints: &[Opened]) {
    for (index, endpoint) in endpoints.iter().enumerate() {
        endpoint.gate.fit(users_of(module, index));
    }
}

fn users_of(module: &Module, endpoint: usize) -> Vec<&DeliverySettings> {
    let sinks = module.sinks.iter().filter(|sink| sink.uses(endpoint));
    sinks.map(|sink| &sink.delivery).collect()
}

/// Opens what can be opened of an endpoint without a connection: certificates, keys, secrets, proxies.
///
/// # Errors
/// Where in the module file the first part stands that cannot be used, and why.
pub fn try_endpoint(config: &EndpointConfig) -> Result<(), Problem> {
    let Err(error) = HttpClient::new(&config.settings, 1) else {
        return Ok(());
    };
    let message = format!("the {} cannot be used: {}", config.name, explain(&error));
    Err(Problem {
        mark: config.places.get(error.key()),
        message,
        hint: None,
    })
}

/// What the engine must know of a sink's endpoints.
///
/// # Errors
/// When the URL of one is none that requests can be made of.
pub fn endpoints_of(sink: &SinkConfig, all: &[EndpointConfig]) -> Result<Endpoints, StartError> {
    let named = |(name, index): &(Arc<str>, usize)| {
        endpoint_of(&all[*index]).map(|endpoint| (Arc::clone(name), endpoint))
    };
    let named: Result<Vec<_>, _> = sink.endpoints.iter().map(named).collect();
    Ok(Endpoints::new(named?))
}

fn endpoint_of(config: &EndpointConfig) -> Result<Endpoint, StartError> {
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
