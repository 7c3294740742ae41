//! Opening a Kinesis stream: is it there, and may it be used?

use std::{error::Error, fmt};

use aws_sdk_kinesis::{Client, types::StreamStatus};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{
    Backoff, Failure, FailureKind, connect,
    settings::{AwsSettings, StreamName},
};

/// The default of a stream's largest record: data and key (Kinesis API: `MaxRecordSizeInKiB`).
const MAX_RECORD: usize = 1024 * 1024;
/// How often a call that may pass is tried before the host gives up starting.
const ATTEMPTS: u32 = 8;

/// A stream that is there.
#[derive(Debug, Clone)]
pub struct Stream {
    /// For calls of the service.
    pub client: Client,
    /// As the user names it.
    pub name: StreamName,
}

/// What the service says of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSummary {
    /// Its ARN.
    pub arn: String,
    /// Somebody is deleting it.
    pub deleting: bool,
    /// It ignores partition keys, so that the records of a key have no order (`RecordDistributionStrategy: AUTO`).
    pub spreads_keys: bool,
    /// Data and key of the largest record that it takes, in bytes.
    pub max_record: usize,
}

/// Why a stream cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is none of this name where the host looks.
    #[error("there is no such stream{}", region.as_ref().map(|region| format!(" in the region `{region}`")).unwrap_or_default())]
    NotFound {
        /// Where the host looks.
        region: Option<String>,
        /// What the service said.
        #[source]
        failure: Failure,
    },
    /// Somebody is deleting it.
    #[error("the stream is being deleted")]
    Deleting,
    /// The service refuses the call, or cannot be reached.
    #[error(transparent)]
    Refused(#[from] Failure),
}

impl OpenError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some(
                "check the name and the region (`region`, AWS_REGION); a stream of another account is named by its ARN"
                    .to_owned(),
            ),
            Self::Refused(failure) => failure.hint(),
            Self::Deleting => None,
        }
    }
}

impl Stream {
    /// Connects to the service and looks for the stream.
    ///
    /// # Errors
    /// When it is not there, or the service does not answer after some attempts.
    pub async fn open(
        settings: &AwsSettings,
        name: &StreamName,
    ) -> Result<(Self, StreamSummary), OpenError> {
        let config = connect(settings).await?;
        let stream = Self {
            client: Client::new(&config),
            name: name.clone(),
        };
        let summary = persist(|| stream.summary()).await;
        let summary = summary.map_err(|failure| match failure.kind {
            FailureKind::NotFound => OpenError::NotFound {
                region: config.region().map(ToString::to_string),
                failure,
            },
            _ => OpenError::Refused(failure),
        })?;
        if summary.deleting {
            return Err(OpenError::Deleting);
        }
        Ok((stream, summary))
    }

    /// What the service says of the stream now.
    ///
    /// # Errors
    /// When it is not there, or the call fails.
    pub async fn summary(&self) -> Result<StreamSummary, Failure> {
        let call = self
            .client
            .describe_stream_summary()
            .set_stream_name(self.name.name())
            .set_stream_arn(self.name.arn());
        let output = Box::pin(call.send())
            .await
            .map_err(self.failed("DescribeStreamSummary"))?;
        let Some(summary) = output.stream_description_summary else {
            return Err(Failure::empty("DescribeStreamSummary"));
        };
        let spread = summary.record_distribution_strategy.as_ref();
        let max_record = summary
            .max_record_size_in_kib
            .and_then(|kib| usize::try_from(kib).ok());
        Ok(StreamSummary {
            spreads_keys: spread.is_some_and(|strategy| strategy.as_str() == "AUTO"),
            deleting: summary.stream_status == StreamStatus::Deleting,
            max_record: max_record
                .filter(|kib| *kib > 0)
                .map_or(MAX_RECORD, |kib| kib * 1024),
            arn: summary.stream_arn,
        })
    }

    /// Turns the SDK's error of `call` into words that name the stream as the user does.
    pub fn failed<E, R>(&self, call: &'static str) -> impl Fn(SdkError<E, R>) -> Failure
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: fmt::Debug + 'static,
    {
        move |error| {
            let failure = Failure::new(call, &error);
            Failure {
                message: self.name.hide_in(&failure.message),
                ..failure
            }
        }
    }
}

/// Makes a call, and again while its failure may pass, some times.
///
/// # Errors
/// The last failure.
pub async fn persist<T, F: Future<Output = Result<T, Failure>>>(
    call: impl Fn() -> F,
) -> Result<T, Failure> {
    let mut backoff = Backoff::default();
    loop {
        match call().await {
            Err(failure) if failure.may_pass() && backoff.failures() + 1 < ATTEMPTS => {
                tokio::time::sleep(backoff.next(fastrand::f64())).await;
            }
            done => return done,
        }
    }
}
