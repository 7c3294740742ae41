//! Which host a command speaks to, and what it shows to be let in.

use std::{io, path::PathBuf};

use super::error::CliError;
use crate::{
    admin::{Address, Client, TOKEN_FILE},
    auth::{Secret, one_line},
};

/// The environment variable of a token: a command line is seen by all.
const TOKEN: &str = "NOZZLE_ADMIN_TOKEN";

/// Which host is asked.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct HostArgs {
    /// The admin address of the host: an IP address and a port, a port on this machine, `unix:PATH`, or `https://HOST:PORT`.
    #[arg(long, value_name = "ADDR", env = "NOZZLE_ADMIN", default_value_t, value_parser = Address::parse)]
    admin: Address,
    /// A file with `admin.token` of the host; NOZZLE_ADMIN_TOKEN holds the token itself.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The host's state directory: on the same machine, the token of a module without one stands there.
    #[arg(long, value_name = "DIR", default_value = ".nozzle")]
    state_dir: PathBuf,
    /// Root certificates in PEM that are trusted beside those of the platform.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl HostArgs {
    /// What asks the host.
    pub(super) fn client(&self) -> Result<Client, CliError> {
        let token = self.token()?;
        if let Address::Tcp(address) = &self.admin
            && !self.admin.is_local()
            && token.is_some()
        {
            return Err(CliError::Usage {
                message: format!(
                    "a token is not sent to `{address}` without TLS: whoever is on the way could read it"
                ),
                hint: format!(
                    "write `--admin https://{address}`, or leave out the token ({TOKEN})"
                ),
            });
        }
        Ok(Client {
            token,
            address: self.admin.clone(),
            ca_file: self.ca_file.clone(),
        })
    }

    fn token(&self) -> Result<Option<Secret>, CliError> {
        let unreadable = |path: &PathBuf| {
            let path = path.clone();
            |source| CliError::TokenFile { path, source }
        };
        if let Some(path) = &self.token_file {
            return read(path).map(Some).map_err(unreadable(path));
        }
        if let Ok(token) = std::env::var(TOKEN) {
            return Ok(Some(Secret::fixed(&token)));
        }
        if !self.admin.is_local() {
            // It is good for nothing elsewhere, and nobody else's to know.
            return Ok(None);
        }
        let path = self.state_dir.join(TOKEN_FILE);
        match read(&path) {
            Ok(token) => Ok(Some(token)),
            // Whoever may not read it is told by the host what is needed.
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied]
                    .contains(&error.kind()) =>
            {
                Ok(None)
            }
            Err(error) => Err(unreadable(&path)(error)),
        }
    }
}

fn read(path: &PathBuf) -> io::Result<Secret> {
    std::fs::read_to_string(path).map(|text| Secret::fixed(one_line(&text)))
}
