//! What is listened on: an address, with or without TLS, or a Unix socket of its owner alone.

use std::{
    fs::Permissions,
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream},
};

use super::{
    BindError,
    audit::Peer,
    settings::{AdminSettings, Listen},
    tls::Identity,
};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener, Option<Identity>),
    Unix(UnixListener),
}

/// A connection before TLS.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The socket's place in the file system; it is gone when dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What stays behind is replaced by the next host.
        drop(std::fs::remove_file(&self.0));
    }
}

impl Listener {
    /// Listens; on a Unix socket for as long as its file is kept.
    pub(super) async fn bind(
        settings: &AdminSettings,
    ) -> Result<(Self, Option<SocketFile>), BindError> {
        match &settings.listen {
            Listen::Tcp(address) => {
                let identity = settings.tls.as_ref().map(Identity::read).transpose()?;
                let listener = TcpListener::bind(address).await?;
                Ok((Self::Tcp(listener, identity), None))
            }
            Listen::Unix(path) => {
                remove_stale(path).await?;
                let socket = UnixSocket::new_stream()?;
                socket.bind(path)?;
                let file = SocketFile(path.clone());
                // Nobody can connect before it listens.
                std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
                Ok((Self::Unix(socket.listen(BACKLOG)?), Some(file)))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match self {
            Self::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Accepted::Tcp(stream), Peer::Tcp(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let credentials = stream.peer_cred().ok();
                let peer = Peer::Unix {
                    uid: credentials.map(|credentials| credentials.uid()),
                    pid: credentials.and_then(|credentials| credentials.pid()),
                };
                Ok((Accepted::Unix(stream), peer))
            }
        }
    }

    /// Shakes hands, if there is TLS.
    pub(super) async fn open(&self, accepted: Accepted) -> io::Result<Box<dyn Stream>> {
        match (self, accepted) {
            (Self::Tcp(_, Some(identity)), Accepted::Tcp(stream)) => {
                let acceptor = identity.acceptor().await;
                Ok(Box::new(acceptor.accept(stream).await?))
            }
            (_, Accepted::Tcp(stream)) => Ok(Box::new(stream)),
            (_, Accepted::Unix(stream)) => Ok(Box::new(stream)),
        }
    }

    /// The port that it has, if it has one.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener, _) => Some(listener.local_addr().ok()?.port()),
            Self::Unix(_) => None,
        }
    }
}

/// Removes a socket that nobody listens on any more; anything else is left alone, and is then in the way.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(_) => false,
    };
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket
        && UnixStream::connect(path)
            .await
            .is_err_and(|error| refused(&error))
    {
        std::fs::remove_file(path)?;
    }
    Ok(())
}
