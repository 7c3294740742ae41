//! Keys for requests that are signed outside of the SDK.

use aws_credential_types::{Credentials, provider::ProvideCredentials};

use super::{Failure, FailureKind, connect, settings::AwsSettings};

/// What a request is signed with.
#[derive(Debug)]
pub struct Keys {
    /// The key, with its token and its end.
    pub credentials: Credentials,
    /// Where the service is.
    pub region: String,
}

/// Asks the SDK's standard chain, as far as `settings` do not say.
///
/// # Errors
/// When no region is known, or nobody in the chain has a key.
pub async fn keys(settings: &AwsSettings) -> Result<Keys, Failure> {
    let config = Box::pin(connect(settings)).await?;
    let failed = |message: String| Failure {
        kind: FailureKind::Credentials,
        call: "the AWS credential chain",
        code: None,
        message,
    };
    let provider = config
        .credentials_provider()
        .ok_or_else(|| failed("it is empty".to_owned()))?;
    let credentials = provider
        .provide_credentials()
        .await
        .map_err(|error| failed(error.to_string()))?;
    let region = config.region().map(|region| region.as_ref().to_owned());
    Ok(Keys {
        credentials,
        region: region.expect("`connect` has made sure"),
    })
}
