//! The htpasswd file is replaced under load.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Guarded, as_user, line};

/// A new hash of the same password each time, which defeats the cache; alternately a new file in
/// its place and the same file rewritten.
#[test]
fn a_hundred_password_file_swaps_fail_no_request() {
    let guarded = Guarded::with(&line("joe", "secret"));
    let (is_done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = guarded.client();
                while !is_done.load(Ordering::Relaxed) {
                    let response =
                        as_user(client.request("GET", "/v2/_catalog"), "joe", "secret").send();
                    if response.status != 200 {
                        is_done.store(true, Ordering::Relaxed);
                        panic!("{response:?}");
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // also after a failed assertion, or the other threads would never end
        let _end = End(&is_done);
        for round in 0..100 {
            let before = answered.load(Ordering::Relaxed);
            let content = line("joe", "secret") + &line(&format!("user {round}"), "other");
            if round % 2 == 0 {
                let next = guarded.path.with_extension("next");
                fs::write(&next, content).expect("a file");
                fs::rename(&next, &guarded.path).expect("another file");
            } else {
                fs::write(&guarded.path, content).expect("a file");
            }
            while answered.load(Ordering::Relaxed) < before + 8 && !is_done.load(Ordering::Relaxed)
            {
                std::thread::yield_now();
            }
            assert_eq!(
                guarded.login(&format!("user {round}"), "other").status,
                200,
                "round {round}"
            );
        }
    });
    assert!(answered.into_inner() >= 800);
}

struct End<'b>(&'b AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
