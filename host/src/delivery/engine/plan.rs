//! What a plugin's answer to `shape` comes to: calls, and events that need none; or why it has none.

use std::{fmt::Display, sync::Arc};

use crate::{
    delivery::{
        Endpoints, contract,
        letters::{self, Cause},
        prepare::{Prepared, prepare},
        settings::Order,
    },
    event::Event,
    http::Request,
    plugin::{Plugin, PluginError, Shaped, ShapedRequest},
};

/// A batch's calls, and the events that need none; events by batch index.
pub(super) struct Plan {
    pub(super) calls: Vec<Prepared>,
    pub(super) drop: Vec<u32>,
    pub(super) reject: Vec<(u32, String)>,
}

/// Why a batch has no calls.
pub(super) enum ShapeFailure {
    /// The batch, or an event in it, is at fault.
    Batch { cause: Cause },
    /// No instance: the plugin is at fault, whatever the batch.
    NoInstance(String),
}

impl ShapeFailure {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Batch { cause } => &cause.message,
            Self::NoInstance(reason) => reason,
        }
    }
}

/// Shapes events without sending anything; says what would be sent.
///
/// # Errors
/// Why the events cannot be shaped, in words.
pub async fn dry_run(
    plugin: &impl Plugin,
    endpoints: &Endpoints,
    events: &[Arc<Event>],
) -> Result<String, String> {
    let planned = shape(plugin, events)
        .await
        .and_then(|shaped| plan(shaped, endpoints, Order::None, events));
    match planned {
        Err(failure) => Err(failure.reason().to_owned()),
        Ok(plan) => match (plan.calls.len(), plan.reject.first()) {
            (_, Some((_, reason))) => Err(format!("rejected: {reason}")),
            (0, None) => Ok("no call: it is dropped".to_owned()),
            (1, None) => Ok("1 call".to_owned()),
            (calls, None) => Ok(format!("{calls} calls")),
        },
    }
}

/// Shapes events without sending anything; gives the answer, which keeps the contract.
///
/// # Errors
/// Why none of it could be sent, in words.
pub async fn rehearse(
    plugin: &impl Plugin,
    endpoints: &Endpoints,
    order: Order,
    events: &[Arc<Event>],
) -> Result<Shaped, String> {
    let shaped = shape(plugin, events).await;
    let planned = shaped.and_then(|shaped| {
        plan(shaped.clone(), endpoints, order, events)?;
        Ok(shaped)
    });
    planned.map_err(|failure| failure.reason().to_owned())
}

/// The calls of an answer as they would be sent, each with the request that the plugin made.
///
/// # Errors
/// How the answer breaks the contract, in words: then none of it could be sent.
pub fn calls_of(
    shaped: Shaped,
    endpoints: &Endpoints,
    order: Order,
    events: &[Arc<Event>],
) -> Result<Vec<(Arc<ShapedRequest>, Request)>, String> {
    let plan = plan(shaped, endpoints, order, events);
    let plan = plan.map_err(|failure| failure.reason().to_owned())?;
    let calls = plan.calls.into_iter();
    Ok(calls.map(|call| (call.shaped, call.request)).collect())
}

async fn shape(plugin: &impl Plugin, events: &[Arc<Event>]) -> Result<Shaped, ShapeFailure> {
    plugin.shape(events).await.map_err(not_shaped)
}

pub(super) fn not_shaped(error: PluginError) -> ShapeFailure {
    match error {
        PluginError::Instance(reason) => ShapeFailure::NoInstance(reason),
        error => ShapeFailure::Batch {
            cause: letters::plugin_failed(&error),
        },
    }
}

/// Checks an answer, and makes its calls.
pub(super) fn plan(
    shaped: Shaped,
    endpoints: &Endpoints,
    order: Order,
    events: &[Arc<Event>],
) -> Result<Plan, ShapeFailure> {
    contract::check(&shaped, events, order, endpoints.names()).map_err(unusable)?;
    let (drop, reject) = (shaped.drop, shaped.reject);
    let calls = prepare(endpoints, shaped.headers, shaped.requests, events).map_err(unusable)?;
    Ok(Plan {
        calls,
        drop,
        reject,
    })
}

fn unusable(violation: impl Display) -> ShapeFailure {
    ShapeFailure::Batch {
        cause: letters::violation(&violation),
    }
}
