//! Requests to more than one endpoint: what plugins are granted. A client for each origin that was asked last.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use url::Url;

use super::{
    HttpClient, Request, Transport,
    settings::{EndpointSettings, Environment, ProxyRule},
};
use crate::{
    network::AddressRules,
    outcome::{Failure, Response},
};

/// Origins whose connections are kept.
const ORIGINS: usize = 16;
/// Idle connections to each.
const CONNECTIONS: usize = 4;

/// Asks any origin: who calls it says which.
#[derive(Debug)]
pub struct Fetcher {
    network: Arc<AddressRules>,
    proxies: Environment,
    /// The one that was asked last stands last.
    clients: Mutex<Vec<(Origin, Arc<OnceCell<HttpClient>>)>>,
}

/// The origin, and the largest body of a response.
type Origin = (String, usize);

impl Fetcher {
    /// A fetcher that dials what `network` allows, through the environment's proxies.
    pub fn new(network: Arc<AddressRules>, proxies: Environment) -> Self {
        let clients = Mutex::default();
        Self {
            network,
            proxies,
            clients,
        }
    }

    /// Sends a request to its URI, and returns the complete response; what is beyond `max_response` bytes of its body is cut off.
    ///
    /// # Errors
    /// When no complete response came.
    pub async fn send(&self, request: Request, max_response: usize) -> Result<Response, Failure> {
        let url: Url = request
            .uri
            .to_string()
            .parse()
            .map_err(|_| Failure::Protocol("the request has no URL".to_owned()))?;
        let origin = url.origin().ascii_serialization();
        let slot = self.slot((origin.clone(), max_response));
        let client = slot.get_or_try_init(|| async {
            let mut settings = EndpointSettings::new(url, origin);
            settings.network = Arc::clone(&self.network);
            settings.proxy = ProxyRule::Environment(self.proxies.clone());
            settings.max_response_body = max_response;
            // The roots are read from files.
            let made = tokio::task::spawn_blocking(move || HttpClient::new(&settings, CONNECTIONS));
            let made = made.await.map_err(|error| error.to_string());
            made.and_then(|made| made.map_err(|error| error.to_string()))
        });
        client.await.map_err(Failure::Connect)?.send(request).await
    }

    fn slot(&self, origin: Origin) -> Arc<OnceCell<HttpClient>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.iter().position(|(known, _)| *known == origin);
        let entry = match known {
            Some(place) => clients.remove(place),
            None => (origin, Arc::default()),
        };
        let slot = Arc::clone(&entry.1);
        if clients.len() >= ORIGINS {
            clients.remove(0);
        }
        clients.push(entry);
        slot
    }
}
