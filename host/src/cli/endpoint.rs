//! `nozzle endpoint`: the misbehaving endpoint alone.

use std::time::Duration;

use super::{
    error::CliError,
    speak::{print, say},
};
use crate::{
    endpoint::{Endpoint, EndpointOptions},
    shutdown::Shutdown,
};

/// What `nozzle endpoint` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct EndpointArgs {
    /// Where it listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// A status and its share of the calls in percent, such as `503=8`; may be repeated. The rest is 200.
    #[arg(long = "status", value_name = "CODE=PERCENT", value_parser = share)]
    statuses: Vec<(u16, f64)>,
    /// The share of calls whose connection is reset without an answer, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    resets: f64,
    /// The share of items of a bulk request that fail, half with 429 and half with 400, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    item_failures: f64,
    /// The time before an answer: `20ms`, or a range `5ms..40ms`.
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = latency)]
    latency: (Duration, Duration),
    /// `Retry-After` on 429 and 503, in seconds.
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u64>,
    /// What the `x-api-key` header must be; without it, calls are answered with 401.
    #[arg(
        long,
        value_name = "KEY",
        env = "NOZZLE_ENDPOINT_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// The field of a record by which arrivals are counted.
    #[arg(long, value_name = "FIELD", default_value = "id")]
    id_field: String,
    /// The same seed gives the same answers, in the order of arrival.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok();
    percent
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| "write a percentage from 0 to 100".to_owned())
}

fn share(text: &str) -> Result<(u16, f64), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(code, share)| Some((code.parse().ok()?, percent(share).ok()?)));
    match parsed {
        Some((code, share)) if (100..=599).contains(&code) => Ok((code, share)),
        _ => Err("write a status and a percentage, such as `503=8`".to_owned()),
    }
}

fn latency(text: &str) -> Result<(Duration, Duration), String> {
    let parse = |text: &str| humantime::parse_duration(text).map_err(|error| error.to_string());
    let (shortest, longest) = match text.split_once("..") {
        Some((shortest, longest)) => (parse(shortest)?, parse(longest)?),
        None => parse(text).map(|both| (both, both))?,
    };
    match shortest <= longest {
        true => Ok((shortest, longest)),
        false => Err("write the shorter one first, such as `5ms..40ms`".to_owned()),
    }
}

/// Serves until a signal, then prints what came.
pub(super) async fn endpoint(args: EndpointArgs) -> Result<(), CliError> {
    let shares = args.statuses.iter().map(|(_, share)| share);
    let all: f64 = shares.sum::<f64>() + args.resets;
    if all > 100.0 {
        return Err(CliError::Usage {
            message: format!("the shares of --status and --resets are {all}% together"),
            hint: "make them 100% at most: the rest is answered with 200".to_owned(),
        });
    }
    let options = EndpointOptions {
        statuses: args.statuses,
        resets: args.resets,
        item_failures: args.item_failures,
        latency: args.latency,
        retry_after: args.retry_after,
        api_key: args.api_key,
        id_field: args.id_field,
        seed: args.seed,
    };
    let shutdown = Shutdown::default();
    let signals = shutdown.listen().map_err(CliError::Signals)?;
    let endpoint = Endpoint::bind(&args.listen, options)
        .await
        .map_err(|source| CliError::Listen {
            address: args.listen,
            source,
        })?;
    say(&format!(
        "listening on http://{}; GET /stats shows the counts; Ctrl-C ends",
        endpoint.address()
    ));
    shutdown.drain.cancelled().await;
    signals.abort();
    let counts = serde_json::to_string(&endpoint.counts()).unwrap_or_default();
    Ok(print(&format!("{counts}\n"))?)
}
