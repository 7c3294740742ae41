//! Why a module was not started.

use std::io;

use crate::{
    egress::EgressError,
    http::ClientError,
    ingress::IngressError,
    network::TargetError,
    plugin::{HostError, LoadError},
    progress::{state_dir::StateDirError, store::StoreError},
    trace::settings::EnvError,
};

/// Why a module was not started. Nothing was read or sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The token of the admin API.
    #[error("the token of the admin API cannot be written to the state directory")]
    Token(#[source] io::Error),
    /// The progress store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The plugin host itself.
    #[error("the plugin host could not be set up")]
    PluginHost(#[source] HostError),
    /// A plugin was refused.
    #[error("the plugin of sink `{sink}` was refused")]
    Plugin {
        /// The sink's id.
        sink: String,
        /// Why.
        #[source]
        source: Box<LoadError>,
    },
    /// An endpoint's client could not be made.
    #[error("the {endpoint} cannot be used")]
    Endpoint {
        /// What it is called.
        endpoint: String,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// An endpoint's URL.
    #[error("the {endpoint} cannot be used")]
    BaseUrl {
        /// What it is called.
        endpoint: String,
        /// Why.
        #[source]
        source: TargetError,
    },
    /// A source could not be opened.
    #[error("ingress `{ingress}` cannot be read")]
    Ingress {
        /// The ingress's id.
        ingress: String,
        /// Why.
        #[source]
        source: IngressError,
    },
    /// The environment says where traces go, and makes no sense.
    #[error("traces cannot be sent")]
    Telemetry(#[source] EnvError),
    /// The client of the collector of traces could not be made.
    #[error("the collector of traces cannot be used")]
    Collector(#[source] ClientError),
    /// An egress could not be opened.
    #[error("egress `{egress}` cannot be written")]
    Egress {
        /// The egress's id.
        egress: String,
        /// Why.
        #[source]
        source: EgressError,
    },
}

impl StartError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Plugin { source, .. } => source.hint(),
            Self::StateDir(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Ingress { source, .. } => source.hint(),
            Self::Egress { source, .. } => source.hint(),
            Self::Telemetry(_) => {
                Some("correct it, or set OTEL_SDK_DISABLED=true to send no traces".to_owned())
            }
            Self::Token(_)
            | Self::PluginHost(_)
            | Self::Endpoint { .. }
            | Self::BaseUrl { .. }
            | Self::Collector(_) => None,
        }
    }
}
