//! The SDK's errors, sorted by what can be done about them, and in words.

use std::{error::Error, fmt};

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::causes::explain;

/// What can be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The service asks for a pause.
    Throttled,
    /// The connection, the service or a time limit: the same call may succeed.
    Transient,
    /// The shard iterator is older than five minutes: another is needed.
    ExpiredIterator,
    /// There is no such stream, shard, consumer or table.
    NotFound,
    /// It is being made, changed or deleted, or another has it.
    InUse,
    /// The caller may not do it.
    Denied,
    /// There are no credentials, or the service does not take them.
    Credentials,
    /// No region is known.
    Region,
    /// A condition of a write does not hold.
    Condition,
    /// The service refuses what it was given, or anything else.
    Refused,
}

/// Why a call of an AWS service failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What can be done about it.
    pub kind: FailureKind,
    /// The call, such as `GetRecords`.
    pub call: &'static str,
    /// The service's code, where it has answered.
    pub code: Option<String>,
    /// What it said, or what went wrong on the way.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: ", self.call)?;
        match &self.code {
            Some(code) if self.message.is_empty() => f.write_str(code),
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Error for Failure {}

impl Failure {
    /// Sorts an error of the SDK.
    pub fn new<E, R>(call: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: fmt::Debug + 'static,
    {
        let said = |kind, message: String| Self {
            kind,
            call,
            code: None,
            message,
        };
        match error {
            SdkError::ServiceError(context) => {
                let service = context.err();
                let code = service.code().unwrap_or("an unknown error").to_owned();
                Self {
                    kind: kind_of(&code),
                    call,
                    message: service.message().unwrap_or_default().to_owned(),
                    code: Some(code),
                }
            }
            SdkError::TimeoutError(_) => {
                said(FailureKind::Transient, "no answer in time".to_owned())
            }
            other => {
                let causes = explain(other);
                let kind = match causes.to_lowercase() {
                    text if text.contains("credential") || text.contains("identity") => {
                        FailureKind::Credentials
                    }
                    text if text.contains("region") => FailureKind::Region,
                    _ => FailureKind::Transient,
                };
                // The SDK lists every provider that it has tried, one a line.
                let first = causes.lines().next().unwrap_or_default();
                let message = match kind {
                    FailureKind::Credentials => first.trim_end_matches(". Attempted:"),
                    _ => &causes,
                };
                said(kind, message.to_owned())
            }
        }
    }

    /// The service answered, and not with what was asked for.
    pub fn empty(call: &'static str) -> Self {
        Self {
            kind: FailureKind::Transient,
            call,
            code: None,
            message: "the answer lacks what was asked for".to_owned(),
        }
    }

    /// Whether it is the position that the service does not take: not so with a key that cannot be used, for example.
    pub fn is_of_position(&self) -> bool {
        matches!(self.call, "GetShardIterator" | "SubscribeToShard")
            && self.code.as_deref() == Some("InvalidArgumentException")
    }

    /// Whether the same call may succeed later without anybody's doing.
    pub fn may_pass(&self) -> bool {
        matches!(self.kind, FailureKind::Throttled | FailureKind::Transient)
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self.kind {
            FailureKind::Credentials => {
                "give credentials by the SDK's standard chain: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile \
                 (AWS_PROFILE, `aws sso login`), or a role of the container or instance"
            }
            FailureKind::Region => {
                "name the region: `region`, AWS_REGION, or by giving the stream's ARN"
            }
            FailureKind::Denied => {
                "the caller's policy must allow this call on the stream or table; for a stream of another account, the \
                 stream's own policy too"
            }
            FailureKind::Transient => {
                "check that the service can be reached from here, and `endpoint-url` or AWS_ENDPOINT_URL, if set"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// From the service's codes (Kinesis and DynamoDB API references, "Errors" and "Common Errors").
fn kind_of(code: &str) -> FailureKind {
    match code {
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "KMSThrottlingException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TransactionInProgressException" => FailureKind::Throttled,
        "ExpiredIteratorException" => FailureKind::ExpiredIterator,
        "ResourceNotFoundException" => FailureKind::NotFound,
        "ResourceInUseException" => FailureKind::InUse,
        "AccessDeniedException" | "AccessDenied" | "KMSAccessDeniedException" | "OptInRequired" => {
            FailureKind::Denied
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature" => FailureKind::Credentials,
        "ConditionalCheckFailedException" | "TransactionCanceledException" => {
            FailureKind::Condition
        }
        "InvalidArgumentException"
        | "ValidationException"
        | "KMSDisabledException"
        | "KMSInvalidStateException"
        | "KMSNotFoundException"
        | "KMSOptInRequired" => FailureKind::Refused,
        // InternalFailure, ServiceUnavailable, and whatever a server in between answers.
        _ => FailureKind::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_sorted_by_what_can_be_done() {
        let table = [
            (
                "ProvisionedThroughputExceededException",
                FailureKind::Throttled,
            ),
            ("ExpiredIteratorException", FailureKind::ExpiredIterator),
            ("ResourceNotFoundException", FailureKind::NotFound),
            ("AccessDeniedException", FailureKind::Denied),
            ("ExpiredTokenException", FailureKind::Credentials),
            ("InternalFailure", FailureKind::Transient),
        ];
        for (code, expected) in table {
            assert_eq!(kind_of(code), expected, "{code}");
        }
    }
}
