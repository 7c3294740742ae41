//! Servers that nobody here wrote, on loopback.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::DEADLINE;

/// A server that runs until this process ends, however it ends.
#[derive(Debug)]
pub struct Server {
    url: String,
    /// The shell that watches over the server: it ends when its standard input does.
    guard: std::process::Child,
}

/// The account of all servers: the access key id says it.
pub const ACCOUNT: &str = "000000000000";

impl Server {
    /// `kinesis-local` (npm): splits, merges, closed shards, limits, enhanced fan-out over HTTP/2.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn kinesis_local() -> Self {
        let folder = folder().join("node/node_modules/kinesis-local");
        let (port, tls) = (free_port(), free_port());
        let mut command = Command::new("node");
        command
            .arg(folder.join("main.js"))
            .env("KINESIS_MOCK_CERT_PATH", folder.join("server.json"))
            .env("KINESIS_MOCK_PLAIN_PORT", port.to_string())
            .env("KINESIS_MOCK_TLS_PORT", tls.to_string())
            .env("SHARD_LIMIT", "1000")
            .env("LOG_LEVEL", "ERROR");
        for change in [
            "CREATE_STREAM",
            "DELETE_STREAM",
            "REGISTER_STREAM_CONSUMER",
            "SPLIT_SHARD",
            "MERGE_SHARDS",
        ] {
            command.env(format!("{change}_DURATION"), "20ms");
        }
        Self::start(command, port, "/healthcheck")
    }

    /// `moto` (PyPI): DynamoDB, and a second Kinesis.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn moto() -> Self {
        let port = free_port();
        let mut command = Command::new(folder().join("python/bin/moto_server"));
        command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_ACCOUNT_ID", ACCOUNT);
        Self::start(command, port, "/moto-api/")
    }

    /// `ministack` (PyPI): fast reads, for benchmarks alone. A reshard loses its records, and an answer costs it more
    /// the more its stream holds.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn ministack() -> Self {
        let port = free_port();
        let folder = installed(folder_of_all().join("bench"), "make bench-servers");
        let mut command = Command::new(folder.join("python/bin/ministack"));
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            // Else it serves MQTT on all addresses.
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("LOG_LEVEL", "ERROR")
            .env("TMPDIR", folder);
        Self::start(command, port, "/_ministack/health")
    }

    /// `proxy.py` (PyPI), an HTTP proxy that wants this `user:password`.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn proxy_py(login: &str) -> Self {
        let port = free_port();
        let mut command = Command::new(proxies().join("python/bin/proxy"));
        command
            .args(["--hostname", "127.0.0.1", "--port", &port.to_string()])
            .args(["--num-workers", "1", "--num-acceptors", "1"])
            .args(["--basic-auth", login]);
        Self::start_until(command, port, |address| TcpStream::connect(address).is_ok())
    }

    /// `pproxy` (PyPI), a SOCKS 5 proxy that wants this `user:password`.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn pproxy(login: &str) -> Self {
        let port = free_port();
        let mut command = Command::new(proxies().join("python/bin/pproxy"));
        command.args(["-l", &format!("socks5://127.0.0.1:{port}#{login}")]);
        Self::start_until(command, port, |address| TcpStream::connect(address).is_ok())
    }

    /// `oidc-provider` (npm), whose tokens are good for so many seconds: `/token` for the clients `basic` and `post` with
    /// the secret [`Server::OIDC_SECRET`] and the scope `orders:write`, `/api` that takes its tokens, `/revoke` and
    /// `/stats`.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn oidc(lifetime: u32) -> Self {
        let port = free_port();
        let mut command = Command::new("node");
        command
            .args([
                "--input-type=module",
                "-e",
                include_str!("../auth/oidc.mjs"),
                "--",
            ])
            .args([port.to_string(), lifetime.to_string()])
            .env("NODE_PATH", auth_folder().join("node/node_modules"));
        Self::start(command, port, "/health")
    }

    /// The secret of the clients of [`Server::oidc`].
    pub const OIDC_SECRET: &str = "s3cret & more: +%";

    /// nginx with TLS of these versions, that asks for a client's certificate, and answers with its name and the number of the request on its connection, and `/forbidden` with
    /// 403: with `server.pem`, `server.key` and `clients.pem` of `folder`. The port is that of TLS.
    ///
    /// # Panics
    /// When it is not installed, or does not come up.
    pub fn nginx(folder: &Path, versions: &str) -> (Self, u16) {
        let (port, tls) = (free_port(), free_port());
        let http = format!(
            "access_log off;\n\
             server {{ listen 127.0.0.1:{port}; return 200; }}\n\
             server {{\nlisten 127.0.0.1:{tls} ssl http2; ssl_protocols {versions};\n\
             ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;\n\
             ssl_client_certificate {folder}/clients.pem; ssl_verify_client on;\n\
             location / {{ return 200 \"$ssl_client_s_dn $ssl_protocol $connection_requests\"; }}\n\
             location /forbidden {{ return 403; }}\n}}\n",
            folder = folder.display()
        );
        (Self::nginx_of(folder, port, &http), tls)
    }

    /// nginx with this `http` section, that answers on `port`.
    ///
    /// # Panics
    /// When nginx is not there, or does not start.
    pub fn nginx_of(folder: &Path, port: u16, http: &str) -> Self {
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", folder.join(kind).display()))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;\n\
             events {{ }}\nhttp {{\n{paths}{http}}}\n",
            folder = folder.display()
        );
        std::fs::write(folder.join("nginx.conf"), config).expect("written");
        let unpacked = auth_folder().join("debian/usr/sbin/nginx");
        let mut command = match unpacked.is_file() {
            true => Command::new(unpacked),
            false => Command::new("nginx"),
        };
        command
            .args(["-e", "stderr", "-p"])
            .arg(folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"));
        Self::start(command, port, "/")
    }

    pub(crate) fn start(command: Command, port: u16, health: &str) -> Self {
        Self::start_until(command, port, |address| answers(address, health))
    }

    fn start_until(command: Command, port: u16, is_up: impl Fn(SocketAddr) -> bool) -> Self {
        let mut guard = Command::new("sh");
        guard
            .arg("-c")
            // With its children: they would outlive it.
            .arg(
                r#""$@" </dev/null & server=$!; cat >/dev/null
                kill -9 $server $(cat /proc/$server/task/*/children 2>/dev/null) 2>/dev/null"#,
            )
            .arg("sh")
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for (name, value) in command.get_envs() {
            guard.env(name, value.unwrap_or_default());
        }
        let guard = guard.spawn().expect("a shell");
        let server = Self {
            url: format!("http://127.0.0.1:{port}"),
            guard,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let started = now();
        while !is_up(address) {
            assert!(
                started.elapsed() < DEADLINE,
                "{command:?} does not come up: run `make servers`, and look at its log"
            );
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        server
    }

    /// Its address, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server outside this process has no paused clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// The folder that `make servers` fills.
///
/// # Panics
/// When it is missing.
pub(crate) fn folder() -> PathBuf {
    installed(folder_of_all(), "make servers")
}

fn proxies() -> PathBuf {
    installed(folder_of_all().join("proxies"), "make servers")
}

/// The part of it that authenticates and verifies.
pub(crate) fn auth_folder() -> PathBuf {
    installed(folder_of_all().join("auth"), "make servers")
}

/// The part of it that reads CloudEvents.
pub(crate) fn events_folder() -> PathBuf {
    installed(folder_of_all().join("events"), "make servers")
}

/// The part of it that holds a server against its document.
pub(crate) fn api_folder() -> PathBuf {
    installed(folder_of_all().join("api"), "make servers")
}

pub(crate) fn folder_of_all() -> PathBuf {
    std::env::var_os("NOZZLE_TEST_SERVERS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.servers"),
        PathBuf::from,
    )
}

pub(crate) fn installed(folder: PathBuf, how: &str) -> PathBuf {
    let installed = folder.join("installed");
    assert!(
        installed.is_file(),
        "{} is missing: run `{how}` first",
        installed.display()
    );
    folder
}

/// A port of this machine that nobody has, for now.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Whether a GET is answered with 200.
fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
