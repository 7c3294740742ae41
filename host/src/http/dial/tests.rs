use std::{
    net::IpAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::net::TcpListener;

use super::*;
use crate::{
    http::failure,
    network::addresses::tests::{PUBLIC, REFUSED},
};

const LIMIT: Duration = Duration::from_secs(10);

/// Says what stands in its script: the first answer for the first question, and the last one for ever.
#[derive(Debug)]
struct Script {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Script {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answer = |texts: &&[&str]| texts.iter().map(|text| address(text)).collect();
        Arc::new(Self {
            answers: Mutex::new(answers.iter().rev().map(answer).collect()),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Script {
    fn resolve(&self, _: Name) -> Boxed<io::Result<Vec<SocketAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().expect("nobody panicked");
        let answer = match answers.len() {
            0 | 1 => answers.last().cloned().unwrap_or_default(),
            _ => answers.pop().unwrap_or_default(),
        };
        let answer = answer.into_iter().map(|address| (address, 0).into());
        let answer = answer.collect();
        Box::pin(async move { Ok(answer) })
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn rules(allow: &[&str]) -> Arc<AddressRules> {
    let allow = allow.iter().map(|text| text.parse().expect("an entry"));
    Arc::new(AddressRules::new(allow.collect()))
}

async fn resolved(script: &Arc<Script>, allow: &[&str]) -> io::Result<Vec<IpAddr>> {
    let mut checked = Checked {
        resolver: Arc::clone(script) as Arc<dyn Resolve>,
        rules: rules(allow),
    };
    let addresses = checked.call("api.test".parse().expect("a name")).await?;
    Ok(addresses.map(|address| address.ip()).collect())
}

/// What was refused, if anything.
async fn dial(tcp: &mut Tcp, to: &str) -> Result<(), String> {
    let dialled = tcp.call(to.parse().expect("a URI")).await;
    dialled
        .map(drop)
        .map_err(|error| failure::why_boxed(&*error))
}

fn refusal(kind: crate::network::AddressKind) -> String {
    format!("its address ({kind}) is not dialled: `network.allow` does not list it")
}

#[tokio::test]
async fn every_address_of_the_table_is_refused_where_it_is_written_or_answered() {
    for (text, kind) in REFUSED {
        let script = Script::new(&[&[text]]);
        let mut tcp = Tcp::with(script, &rules(&[]), LIMIT);
        let host = match address(text) {
            IpAddr::V4(_) => text.to_owned(),
            IpAddr::V6(_) => format!("[{text}]"),
        };

        let answered = dial(&mut tcp, "http://api.test/").await;
        // Those that are written and permitted are not dialled here: nobody knows who would answer.
        let written = tcp.check(&format!("http://{host}:80/").parse().expect("a URI"));

        assert_eq!(answered, Err(refusal(kind)), "{text}");
        let permitted = matches!(kind.name(), "loopback" | "private");
        assert_eq!(written.is_ok(), permitted, "{text}");
        if !permitted {
            let dialled = dial(&mut tcp, &format!("http://{host}:80/")).await;
            assert_eq!(dialled, Err(refusal(kind)), "{text}");
        }
    }
}

#[tokio::test]
async fn of_several_answers_those_that_may_not_be_dialled_are_not() {
    for (text, kind) in REFUSED {
        let both = Script::new(&[&[text, PUBLIC[0], text]]);

        let by_default = resolved(&both, &[]).await.expect("one is public");
        let allowed = resolved(&both, &[kind.name()])
            .await
            .expect("all are allowed");

        assert_eq!(by_default, [address(PUBLIC[0])], "{text}");
        assert_eq!(allowed.len(), 3, "{text}");
    }
}

#[tokio::test]
async fn every_public_address_passes() {
    let all = resolved(&Script::new(&[&PUBLIC]), &[])
        .await
        .expect("they pass");

    assert_eq!(all, PUBLIC.map(address));
}

#[tokio::test]
async fn a_name_that_is_bound_to_another_address_is_refused_at_the_next_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let to = format!("http://api.test:{port}/");
    // The listener stands for what may be dialled.
    let listeners = ["127.0.0.1", "::ffff:127.0.0.1"];
    let elsewhere = REFUSED.iter().filter(|(text, _)| !listeners.contains(text));
    for (text, kind) in elsewhere {
        let script = Script::new(&[&["127.0.0.1"], &[text]]);
        let resolver = Arc::clone(&script) as Arc<dyn Resolve>;
        let mut tcp = Tcp::with(resolver, &rules(&["127.0.0.1"]), LIMIT);

        let first = dial(&mut tcp, &to).await;
        let second = dial(&mut tcp, &to).await;

        assert_eq!(first, Ok(()), "{text}");
        assert_eq!(second, Err(refusal(*kind)), "{text}");
        // What was checked was dialled: nobody asked again between the two.
        assert_eq!(script.asked.load(Ordering::Relaxed), 2, "{text}");
    }
}

#[tokio::test]
async fn localhost_and_addresses_that_are_written_reach_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut tcp = Tcp::with(Script::new(&[&["127.0.0.1"]]), &rules(&[]), LIMIT);

    for host in ["127.0.0.1", "localhost", "a.localhost", "localhost."] {
        assert_eq!(
            dial(&mut tcp, &format!("http://{host}:{port}/")).await,
            Ok(()),
            "{host}"
        );
    }
    let named = dial(&mut tcp, &format!("http://api.test:{port}/")).await;
    assert!(named.is_err(), "a name is no permission");
}
