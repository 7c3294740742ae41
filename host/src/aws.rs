//! How AWS is reached: the SDK's configuration, its failures in words, and the pauses between attempts.

mod backoff;
mod failure;
mod keys;
pub mod settings;
mod stream;

pub use backoff::Backoff;
pub use failure::{Failure, FailureKind};
pub use keys::{Keys, keys};
pub use stream::{OpenError, Stream, StreamSummary, persist};

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{self, rustls_provider::CryptoMode},
};

pub use aws_config::SdkConfig;

use self::settings::AwsSettings;

/// TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(5);
/// One attempt of a call, up to its last byte; an answer of 10 MiB must fit.
const ATTEMPT: Duration = Duration::from_secs(30);

/// The SDK's configuration: credentials and region from its standard chain (environment, profile, web identity,
/// SSO, container, instance), as far as `settings` do not say otherwise.
///
/// The SDK makes one attempt: whoever calls counts throttles, and knows what may be sent again.
///
/// # Errors
/// When no region is known.
pub async fn connect(settings: &AwsSettings) -> Result<SdkConfig, Failure> {
    let client = Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(client)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url.as_str().trim_end_matches('/'));
    }
    let config = Box::pin(loader.load()).await;
    let region = config.region().filter(|region| !region.as_ref().is_empty());
    match region {
        Some(_) => Ok(config),
        None => Err(Failure {
            kind: FailureKind::Region,
            call: "the set-up of the AWS SDK",
            code: None,
            message: "no region is known".to_owned(),
        }),
    }
}
