//! A value that is lent for a time, such as a token: fetched when it is first needed, renewed early, and by one
//! attempt for all.
//!
//! # Invariants
//! - One fetch is made at a time, whoever waits.
//! - Those who waited for a fetch that failed share its failure: none of them makes another.
//! - While the value is good, nobody waits, and a fetch that fails changes nothing.
//! - What a fetch came to that nobody waited for is used only if it is good still: a failure may be over long since.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

/// A value is renewed when so little of its life is left, and no earlier than this before its end.
const EARLY: u32 = 5;
const EARLIEST: Duration = Duration::from_secs(300);
/// How long a value is good for when nobody says.
const UNTOLD: Duration = Duration::from_secs(900);
/// After a renewal that failed while the value was good.
const PAUSE: Duration = Duration::from_secs(5);
/// A value that was never accepted is not replaced for being refused before it is so old: what refuses it is
/// something else, and would make a fetch of every attempt.
const YOUNG: Duration = Duration::from_secs(60);

/// A value as it was fetched.
#[derive(Debug)]
pub(super) struct Grant<T> {
    pub(super) value: T,
    /// From the beginning of the fetch on; none where nobody says.
    pub(super) lifetime: Option<Duration>,
}

/// A value that was lent.
pub(super) struct Lent<T> {
    pub(super) value: T,
    at: Instant,
    renew: Instant,
    /// None where nobody says.
    end: Option<Instant>,
    accepted: AtomicBool,
}

impl<T> Lent<T> {
    /// Notes that it was good once.
    pub(super) fn accepted(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    fn is_good(&self, now: Instant) -> bool {
        self.end.is_none_or(|end| now < end)
    }
}

/// A value that is lent, for all who need it.
pub(super) struct Lease<T> {
    held: RwLock<Option<Arc<Lent<T>>>>,
    fetching: Mutex<Fetching<T>>,
}

/// What is known of fetches.
struct Fetching<T> {
    /// One that goes on, and when it began. It outlives the attempt that began it, whose time may be too short for it.
    now: Option<(Instant, AbortOnDropHandle<Fetched<T>>)>,
    /// The last failure, and when it was.
    failure: Option<(Instant, String)>,
}

type Fetched<T> = Result<Grant<T>, String>;

impl<T> Default for Lease<T> {
    fn default() -> Self {
        Self {
            held: RwLock::new(None),
            fetching: Mutex::new(Fetching {
                now: None,
                failure: None,
            }),
        }
    }
}

impl<T> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

impl<T: Send + 'static> Lease<T> {
    /// The value, fetched if need be.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: who comes next waits for the same fetch.
    pub(super) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<Arc<Lent<T>>, String>
    where
        F: Future<Output = Fetched<T>> + Send + 'static,
    {
        let asked = Instant::now();
        let held = self.held().filter(|lent| lent.is_good(asked));
        let mut fetching = match &held {
            Some(lent) if asked < lent.renew => return Ok(Arc::clone(lent)),
            Some(lent) => match self.fetching.try_lock() {
                Ok(fetching) => fetching,
                Err(_) => return Ok(Arc::clone(lent)),
            },
            None => self.fetching.lock().await,
        };
        // Somebody else was first, and succeeded or failed.
        let now = Instant::now();
        if let Some(lent) = self.held().filter(|lent| now < lent.renew) {
            return Ok(lent);
        }
        if let Some((at, why)) = &fetching.failure {
            match &held {
                Some(lent) if at.elapsed() < PAUSE => return Ok(Arc::clone(lent)),
                None if *at > asked => return Err(why.clone()),
                _ => {}
            }
        }
        if held.is_none()
            && let Some((began, running)) = fetching.now.take_if(|(_, it)| it.is_finished())
            && let Ok(Ok(grant)) = running.await
        {
            let lent = self.hold(grant, began);
            if lent.is_good(now) {
                fetching.failure = None;
                return Ok(lent);
            }
        }
        let begin = || (now, AbortOnDropHandle::new(tokio::spawn(fetch())));
        let (began, running) = fetching.now.get_or_insert_with(begin);
        if let Some(lent) = held.as_ref().filter(|_| !running.is_finished()) {
            return Ok(Arc::clone(lent));
        }
        let began = *began;
        let fetched = running.await;
        fetching.now = None;
        match fetched.unwrap_or_else(|_| Err("it was given up".to_owned())) {
            Ok(grant) => {
                fetching.failure = None;
                Ok(self.hold(grant, began))
            }
            Err(why) => {
                fetching.failure = Some((Instant::now(), why.clone()));
                let lent = held.ok_or_else(|| why.clone())?;
                warn!(error = %why, "credentials could not be renewed, and are still good");
                Ok(lent)
            }
        }
    }

    /// Takes `used` out of use, as it was refused. Whether another attempt may do better: with the value that took
    /// its place, or with one that is to be fetched.
    pub(super) fn refused(&self, used: &Arc<Lent<T>>) -> bool {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let is_used = held.as_ref().is_some_and(|lent| Arc::ptr_eq(lent, used));
        if !is_used {
            return true;
        }
        let old = used.accepted.load(Ordering::Relaxed) || used.at.elapsed() >= YOUNG;
        if old {
            *held = None;
        }
        old
    }

    fn held(&self) -> Option<Arc<Lent<T>>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    fn hold(&self, grant: Grant<T>, at: Instant) -> Arc<Lent<T>> {
        let good_for = grant.lifetime.unwrap_or(UNTOLD);
        let early = (good_for / EARLY).min(EARLIEST);
        // A server may say any number.
        let after = |time: Duration| at.checked_add(time).unwrap_or(at + UNTOLD);
        let lent = Arc::new(Lent {
            value: grant.value,
            at,
            renew: after(good_for - early),
            end: grant.lifetime.map(after),
            accepted: AtomicBool::new(false),
        });
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        *held = Some(Arc::clone(&lent));
        lent
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, sync::atomic::AtomicU32};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A server that numbers what it lends for an hour, slowly.
    #[derive(Default)]
    struct Server {
        fetches: AtomicU32,
        down: AtomicBool,
    }

    /// A fetch, for a lease.
    fn fetch(
        server: &Arc<Server>,
    ) -> impl FnOnce() -> Pin<Box<dyn Future<Output = Fetched<u32>> + Send>> {
        let server = Arc::clone(server);
        || Box::pin(async move { server.fetch().await })
    }

    impl Server {
        async fn fetch(&self) -> Fetched<u32> {
            let number = self.fetches.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
            match self.down.load(Ordering::Relaxed) {
                true => Err(format!("failure {number}")),
                false => Ok(Grant {
                    value: number,
                    lifetime: Some(HOUR),
                }),
            }
        }

        fn fetches(&self) -> u32 {
            self.fetches.load(Ordering::Relaxed)
        }
    }

    async fn get_50(lease: &Arc<Lease<u32>>, server: &Arc<Server>) -> Vec<Result<u32, String>> {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (lease, server) = (Arc::clone(lease), Arc::clone(server));
            tasks.spawn(async move { lease.get(fetch(&server)).await.map(|lent| lent.value) });
        }
        tasks.join_all().await
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_who_need_it_make_one_fetch() {
        let (lease, server) = (Arc::default(), Arc::<Server>::default());

        let values = get_50(&lease, &server).await;

        assert_eq!(values, vec![Ok(1); 50]);
        assert_eq!(server.fetches(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_outlives_the_attempts_that_wait_for_it() {
        let (lease, server) = (Lease::default(), Arc::<Server>::default());
        let short = Duration::from_millis(300);

        let mut waits = 0;
        let value = loop {
            waits += 1;
            let waiting = tokio::time::timeout(short, lease.get(fetch(&server)));
            if let Ok(value) = waiting.await {
                break value.map(|lent| lent.value);
            }
        };

        assert_eq!((value, waits, server.fetches()), (Ok(1), 4, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_who_wait_share_a_failure() {
        let (lease, server) = (Arc::default(), Arc::<Server>::default());
        server.down.store(true, Ordering::Relaxed);

        let failed = get_50(&lease, &server).await;
        server.down.store(false, Ordering::Relaxed);
        let good = get_50(&lease, &server).await;

        assert_eq!(failed, vec![Err("failure 1".to_owned()); 50]);
        assert_eq!(good, vec![Ok(2); 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_early_by_one_while_the_others_go_on() {
        let (lease, server) = (Arc::default(), Arc::<Server>::default());
        get_50(&lease, &server).await;

        tokio::time::advance(HOUR - EARLIEST - Duration::from_secs(10)).await;
        let fresh = get_50(&lease, &server).await;
        tokio::time::advance(Duration::from_secs(10)).await;
        let at = Instant::now();
        let due = get_50(&lease, &server).await;
        let waited = at.elapsed();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let renewed = get_50(&lease, &server).await;

        assert_eq!(fresh, vec![Ok(1); 50]);
        assert_eq!((due, waited), (vec![Ok(1); 50], Duration::ZERO));
        assert_eq!(renewed, vec![Ok(2); 50]);
        assert_eq!(server.fetches(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waited_for_is_used_only_while_it_is_good() {
        let short = Duration::from_millis(300);
        for (later, is_down, expected) in
            [(HOUR / 2, false, 1), (HOUR, false, 2), (HOUR / 2, true, 2)]
        {
            let (lease, server) = (Lease::default(), Arc::<Server>::default());
            server.down.store(is_down, Ordering::Relaxed);
            let given_up = tokio::time::timeout(short, lease.get(fetch(&server))).await;
            tokio::time::sleep(later).await;
            server.down.store(false, Ordering::Relaxed);

            let value = lease.get(fetch(&server)).await.map(|lent| lent.value);

            assert!(given_up.is_err());
            assert_eq!(value, Ok(expected), "{later:?}, down: {is_down}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_fails_is_tried_again_and_hurts_nobody_before_the_end() {
        let (lease, server) = (Arc::default(), Arc::<Server>::default());
        get_50(&lease, &server).await;
        server.down.store(true, Ordering::Relaxed);
        tokio::time::advance(HOUR - EARLIEST).await;

        let early = get_50(&lease, &server).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let again = get_50(&lease, &server).await;
        let once_more = get_50(&lease, &server).await;
        let fetches = server.fetches();
        tokio::time::advance(EARLIEST).await;
        let over = get_50(&lease, &server).await;

        assert_eq!((early, again), (vec![Ok(1); 50], vec![Ok(1); 50]));
        assert_eq!(once_more, vec![Ok(1); 50]);
        assert_eq!(fetches, 2, "the second fifty came within the pause");
        assert_eq!(over, vec![Err("failure 3".to_owned()); 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_value_is_replaced_once_it_was_good_or_is_old() {
        let (lease, server) = (Lease::default(), Arc::<Server>::default());
        let first = lease.get(fetch(&server)).await.expect("a value");

        let young = lease.refused(&first);
        first.accepted();
        let good = lease.refused(&first);
        let gone = lease.refused(&first);
        let second = lease.get(fetch(&server)).await.expect("a value");
        let stale = lease.refused(&first);
        tokio::time::advance(YOUNG).await;
        let old = lease.refused(&second);

        assert_eq!(
            (young, good, gone, stale, old),
            (false, true, true, true, true)
        );
        assert_eq!((first.value, second.value), (1, 2));
    }
}
