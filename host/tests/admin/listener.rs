//! A server that keeps every request as it came: an endpoint, or a collector of traces.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use nozzle_testkit::DEADLINE;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    /// The request line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

type Script = dyn Fn(usize) -> u16 + Send + Sync;
type Kept = (Mutex<Vec<Got>>, Condvar);

pub(crate) struct Listener {
    address: SocketAddr,
    kept: Arc<Kept>,
}

impl Listener {
    /// Answers each request with the status that the script says for its number.
    pub(crate) fn start(script: impl Fn(usize) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let kept = Arc::new(Kept::default());
        let (shared, script): (_, Arc<Script>) = (Arc::clone(&kept), Arc::new(script));
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, script) = (Arc::clone(&shared), Arc::clone(&script));
                std::thread::spawn(move || while serve(&stream, &shared, &*script).is_some() {});
            }
        });
        Self { address, kept }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What came, once `enough` says so.
    pub(crate) fn until(&self, enough: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let (got, more) = &*self.kept;
        let got = got.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = more.wait_timeout_while(got, DEADLINE, |got| !enough(got));
        let (got, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "only {} came: {got:?}", got.len());
        got.clone()
    }

    pub(crate) fn all(&self) -> Vec<Got> {
        self.until(|_| true)
    }
}

/// Serves one request; none if there is no more.
fn serve(stream: &TcpStream, kept: &Kept, script: &Script) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).ok()? > 0 && !head.ends_with("\r\n\r\n") {}
    let mut got = Got {
        head: head.to_ascii_lowercase(),
        body: Vec::new(),
    };
    let length = got.header("content-length").unwrap_or("0").parse().ok()?;
    got.head.lines().next()?;
    got.body.resize(length, 0);
    reader.read_exact(&mut got.body).ok()?;
    let number = {
        let mut all = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(got);
        all.len()
    };
    kept.1.notify_all();
    let status = script(number);
    write!(
        &mut { stream },
        "HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n"
    )
    .ok()
}
