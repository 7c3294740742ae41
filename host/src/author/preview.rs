//! One batch, and the requests that would be sent for it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use super::{mistake::Mistake, outcome::endpoints, workshop::Workshop};
use crate::{
    delivery::{calls_of, settings::Order},
    event::Event,
    plugin::{LoadError, LoadedPlugin, Plugin, PluginError, ShapedRequest},
};

/// What would become of a batch.
#[derive(Debug, Clone)]
pub struct Preview {
    /// What would be sent, in order. What the endpoint's configuration adds, its secrets above all, is not there.
    pub calls: Vec<Call>,
    /// The indices of events that are dropped.
    pub drop: Vec<u32>,
    /// Those that are rejected, with the reasons.
    pub reject: Vec<(u32, String)>,
}

/// A request that would be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The whole URI.
    pub uri: Uri,
    /// What the plugin sets.
    pub headers: HeaderMap,
    /// The body, none for no body at all.
    pub body: Option<Bytes>,
    /// The indices of the events that it delivers.
    pub events: Vec<u32>,
    pub(super) shaped: Arc<ShapedRequest>,
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// The plugin cannot be loaded.
    #[error(transparent)]
    Load(#[from] Box<LoadError>),
    /// An endpoint's URL is none.
    #[error("an endpoint's URL must be one of `http` or `https`")]
    Url,
    /// Nothing of the plugin's answer would be used.
    #[error(transparent)]
    Mistake(#[from] Mistake),
}

impl PreviewError {
    /// What the author can do about a plugin that cannot be loaded, where no module file is in sight.
    pub fn hint_of(error: &LoadError) -> Option<String> {
        super::workshop::hint_of(error)
    }

    /// What the author can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Load(error) => super::workshop::hint_of(error),
            Self::Url => Some("write `https://api.example.com/v1/`".to_owned()),
            Self::Mistake(mistake) => mistake.hint(),
        }
    }
}

impl Workshop {
    /// Shapes a batch without sending anything. `named` are endpoints beside the default one at `url`.
    ///
    /// # Errors
    /// See [`PreviewError`].
    pub async fn preview(
        &self,
        config: &str,
        events: &[Arc<Event>],
        url: &str,
        named: &[(String, String)],
    ) -> Result<Preview, PreviewError> {
        let (_, grants) = self.needed();
        let plugin = self.load("plugin/run", config, grants).await;
        let plugin = plugin.map_err(Box::new)?;
        let named = named
            .iter()
            .map(|(name, url)| (name.as_str(), url.as_str()));
        let all = endpoints(url, named).ok_or(PreviewError::Url)?;
        Ok(preview_of(&plugin, &all, events).await?)
    }
}

pub(super) async fn preview_of(
    plugin: &LoadedPlugin,
    endpoints: &crate::delivery::Endpoints,
    events: &[Arc<Event>],
) -> Result<Preview, Mistake> {
    let shaped = plugin.shape(events).await.map_err(Mistake::Shape)?;
    let (drop, reject) = (shaped.drop.clone(), shaped.reject.clone());
    let calls = calls_of(shaped, endpoints, Order::None, events).map_err(Mistake::Contract)?;
    let calls = calls.into_iter().map(|(shaped, sent)| Call {
        method: sent.method,
        uri: sent.uri,
        headers: sent.headers,
        body: sent.body,
        events: shaped.events.clone(),
        shaped,
    });
    Ok(Preview {
        calls: calls.collect(),
        drop,
        reject,
    })
}

impl Preview {
    /// Bodies that say that they are text, and are none.
    pub fn mistakes(&self) -> impl Iterator<Item = Mistake> {
        self.calls.iter().enumerate().filter_map(|(number, call)| {
            let kind = call.headers.get(http::header::CONTENT_TYPE);
            let kind = kind.and_then(|kind| kind.to_str().ok());
            Mistake::of_body(number, kind, call.body.as_ref()?)
        })
    }

    /// Whether it is the plugin's own word that the batch cannot be shaped, which is no mistake.
    pub(super) fn is_refusal(mistake: &Mistake) -> bool {
        matches!(mistake, Mistake::Shape(PluginError::Refused(_)))
    }
}

/// Records, one on each line; empty lines are left out, as the ingress `file` does.
pub fn events_of(lines: &Bytes) -> Vec<Arc<Event>> {
    let all = lines.split(|byte| *byte == b'\n').enumerate();
    let all = all.filter_map(|(number, line)| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then(|| {
            Arc::new(Event {
                id: format!("plugin/run:{}", number + 1).into(),
                key: None,
                timestamp_ms: 0,
                attributes: Vec::new(),
                data: lines.slice_ref(line),
            })
        })
    });
    all.collect()
}
