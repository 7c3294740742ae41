//! `nozzle reload`: a host that runs reads its module file again.

use bytes::Bytes;

use super::{error::CliError, host::HostArgs, speak::say, steer::json};
use crate::admin::Reloaded;

/// What `nozzle reload` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    host: HostArgs,
    /// Prints what was changed as JSON.
    #[arg(long)]
    json: bool,
}

/// Has the host read its module file again, and says what that changed.
pub(super) async fn reload(args: ReloadArgs) -> Result<(), CliError> {
    let client = args.host.client()?;
    let reloaded = client.post_for_long("/v1/reload", Bytes::new()).await;
    let reloaded: Reloaded = reloaded.map_err(CliError::Fetch)?;
    if args.json {
        return json(&reloaded);
    }
    match reloaded.changed {
        true => say(&format!("the module was reloaded: {}", reloaded.words())),
        false => say("the module file is as it was when it was read last: nothing is changed"),
    }
    Ok(())
}
