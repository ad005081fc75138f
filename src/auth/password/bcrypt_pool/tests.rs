use super::*;

fn pool() -> (Arc<PasswordCache>, BcryptPool) {
    let cache = Arc::new(PasswordCache::new(Duration::from_secs(60)).unwrap());
    (Arc::clone(&cache), BcryptPool::new(cache, Arc::default()))
}

fn check_of(
    cache: &PasswordCache,
    password: &str,
    hash: &BcryptHash,
    address: Option<IpAddr>,
) -> PasswordCheck {
    let (user, password, hash) = ("joe".to_owned(), password.as_bytes().to_vec(), hash.clone());
    let fingerprint = cache.fingerprint(&user, &password, &hash);
    PasswordCheck {
        fingerprint,
        user,
        password,
        usual: hash.clone(),
        hash,
        is_user: true,
        address,
    }
}

fn host(number: u8) -> Option<IpAddr> {
    Some(std::net::Ipv4Addr::new(192, 0, 2, number).into())
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_checks_are_hashed_once() {
    let (cache, pool) = pool();
    let hash = BcryptHash::of(b"secret", 8).unwrap();
    let fingerprint = cache.fingerprint("joe", b"secret", &hash);
    let wrong = cache.fingerprint("joe", b"wrong", &hash);
    let checks: Vec<_> = (0..100)
        .map(|_| pool.check(check_of(&cache, "secret", &hash, host(1))))
        .collect();
    assert!(
        futures_util::future::join_all(checks)
            .await
            .iter()
            .all(|outcome| *outcome == Outcome::Correct)
    );
    assert!(cache.is_known(&fingerprint, host(1)));
    // were each of these hashed, they would be too many failures
    let checks: Vec<_> = (0..100)
        .map(|_| pool.check(check_of(&cache, "wrong", &hash, host(1))))
        .collect();
    assert!(
        futures_util::future::join_all(checks)
            .await
            .iter()
            .all(|outcome| *outcome == Outcome::Wrong)
    );
    assert!(!cache.is_known(&wrong, host(1)));
    assert!(pool.queued() == 0 && !pool.has_check_of(host(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_ends_soon_for_one_address_only() {
    let (cache, pool) = pool();
    let hash = BcryptHash::of(b"secret", 4).unwrap();
    let checks =
        (0..1000).map(|number| pool.check(check_of(&cache, &number.to_string(), &hash, host(1))));
    let outcomes = futures_util::future::join_all(checks).await;
    let checked = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Wrong)
        .count();
    assert!((11..30).contains(&checked), "{checked} guesses");
    assert!(matches!(
        pool.check(check_of(&cache, "secret", &hash, host(1))).await,
        Outcome::Unchecked { .. }
    ));
    assert_eq!(
        pool.check(check_of(&cache, "secret", &hash, host(2))).await,
        Outcome::Correct
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_correct_password_of_no_user_is_wrong() {
    let (cache, pool) = pool();
    let hash = BcryptHash::of(b"secret", 4).unwrap();
    let nobody = PasswordCheck {
        is_user: false,
        ..check_of(&cache, "secret", &hash, host(1))
    };
    let fingerprint = nobody.fingerprint;
    assert_eq!(pool.check(nobody).await, Outcome::Wrong);
    assert!(!cache.is_known(&fingerprint, host(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_continues_after_its_client_disconnects() {
    let (cache, pool) = pool();
    let hash = BcryptHash::of(b"secret", 4).unwrap();
    let fingerprint = cache.fingerprint("joe", b"secret", &hash);
    // the check stays queued until the client has disconnected
    keep_busy(&pool, pool.0.threads);
    let check = pool.check(check_of(&cache, "secret", &hash, host(1)));
    assert!(futures_util::future::FutureExt::now_or_never(check).is_none());
    keep_busy(&pool, 0);
    Shared::spawn_worker(Arc::clone(&pool.0));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !cache.is_known(&fingerprint, host(1)) {
        assert!(Instant::now() < deadline, "the check was given up");
        tokio::task::yield_now().await;
    }
}

/// Has the pool count idle workers, so that it starts no others.
pub(in crate::auth) fn keep_busy(pool: &BcryptPool, workers: usize) {
    pool.0.work.lock().workers = workers;
}

#[tokio::test]
async fn the_queue_is_bounded_and_no_client_fills_it() {
    let (cache, pool) = pool();
    let hash = BcryptHash::of(b"secret", 4).unwrap();
    let (cores, capacity) = (pool.0.threads, capacity(4, pool.0.threads));
    assert_eq!(
        (cores, capacity),
        (
            std::thread::available_parallelism().unwrap().get(),
            cores * QUEUED_PER_CORE as usize
        )
    );
    // so that every check stays queued
    keep_busy(&pool, cores);
    let join = |number: usize, address| {
        pool.join(check_of(&cache, &number.to_string(), &hash, address))
            .is_some()
    };
    let of_one = (0..capacity)
        .filter(|number| join(*number, host(1)))
        .count();
    assert_eq!(of_one, capacity / 2);
    let of_others = (capacity..2 * capacity)
        .filter(|number| join(*number, host(*number as u8 | 2)))
        .count();
    assert_eq!((of_others, pool.queued()), (capacity / 2, capacity));
    let later = pool
        .check(check_of(&cache, "one more", &hash, host(1)))
        .await;
    assert_eq!(later, Outcome::Unchecked { wait: RETRY_AFTER });
    assert!(!pool.0.full.may_log(()), "nothing was logged");
    // the hosts of an IPv6 network share one queue
    assert!(
        pool.join(check_of(
            &cache,
            "of a network",
            &hash,
            Some("2001:db8::1".parse().unwrap())
        ))
        .is_none()
    );
}

#[test]
fn the_capacity_is_worth_some_seconds() {
    assert_eq!(
        [5, 10, 12, 14, 20].map(|cost| capacity(cost, 2)),
        [4000, 400, 100, 24, 8]
    );
}

/// Addresses that guess within the free failures delay others by one check each.
#[tokio::test(flavor = "multi_thread")]
async fn one_check_does_not_wait_for_the_many_of_another_client() {
    let (cache, pool) = pool();
    let hash = BcryptHash::of(b"secret", 4).unwrap();
    keep_busy(&pool, pool.0.threads);
    let checks: Vec<_> = (0..50)
        .map(|number| check_of(&cache, &number.to_string(), &hash, host(1)))
        .collect();
    checks.into_iter().for_each(|check| drop(pool.join(check)));
    let mut right = pool
        .join(check_of(&cache, "secret", &hash, host(2)))
        .unwrap();
    // in place of a worker
    for _ in 0..2 {
        let job = pool.0.next().unwrap();
        pool.0.run(job);
    }
    assert_eq!(*right.borrow_and_update(), Some(Outcome::Correct));
}

/// Returns the shortest time of three wrong passwords.
async fn price(of: u32, usual: u32) -> Duration {
    let (cache, pool) = pool();
    let (hash, usual) = (
        BcryptHash::of(b"secret", of).unwrap(),
        BcryptHash::dummy(usual),
    );
    let mut least = Duration::MAX;
    for password in ["one", "two", "three"] {
        let check = PasswordCheck {
            usual: usual.clone(),
            ..check_of(&cache, password, &hash, host(1))
        };
        let begun = Instant::now();
        let outcome = pool.check(check).await;
        assert_eq!(outcome, Outcome::Wrong);
        least = least.min(begun.elapsed());
    }
    least
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_for_a_cheap_hash_takes_as_long_as_for_an_unknown_user() {
    // without it a 64th; on a busy machine either may take several times as long
    let (cheap, dear) = (price(4, 10).await, price(10, 10).await);
    assert!(
        cheap * 16 > dear && dear * 16 > cheap,
        "{cheap:?} and {dear:?}"
    );
}

/// A hash of the highest cost takes seconds; guesses at it must not delay anybody else for that long.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_a_costly_hash_leave_threads_to_other_users() {
    let (cache, pool) = pool();
    let (usual, costly) = (BcryptHash::of(b"secret", 4).unwrap(), BcryptHash::dummy(15));
    let guesses = (0..pool.0.threads).map(|number| {
        let number = u8::try_from(number).unwrap();
        let check = PasswordCheck {
            usual: usual.clone(),
            ..check_of(&cache, &format!("guess {number}"), &costly, host(number))
        };
        pool.check(check)
    });
    let first_guess = futures_util::future::select_all(guesses.map(Box::pin));
    let login = async {
        while pool.queued() == 0 {
            tokio::task::yield_now().await;
        }
        pool.check(check_of(&cache, "secret", &usual, host(200)))
            .await
    };
    tokio::select! {
        biased;
        _ = first_guess => panic!("a login waits for a guess"),
        outcome = login => assert_eq!(outcome, Outcome::Correct),
    }
}
