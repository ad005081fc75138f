//! Runs the tests, two at a time, each on its own bench. Prints failures, skipped tests and counts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use crate::bench::Bench;
use crate::front;
use crate::program;
use crate::way::Way;

const AT_A_TIME: usize = 2;

thread_local! {
    /// Message and place of the last panic on this thread.
    static PANIC: RefCell<String> = RefCell::default();
}

pub struct Test {
    name: &'static str,
    programs: &'static [&'static str],
    needs_root: bool,
    /// Names anything else that it needs and that is missing.
    lacks: fn() -> Option<String>,
    /// Variables of the server.
    environment: &'static [(&'static str, &'static str)],
    ways: &'static [Way],
    body: fn(&Bench),
}

/// A test over one of its ways.
struct Trip {
    test: &'static Test,
    way: Way,
}

impl Test {
    pub const fn new(
        name: &'static str,
        programs: &'static [&'static str],
        body: fn(&Bench),
    ) -> Self {
        Self {
            name,
            programs,
            needs_root: false,
            lacks: || None,
            environment: &[],
            ways: &[Way::Plain],
            body,
        }
    }

    pub const fn root(
        name: &'static str,
        programs: &'static [&'static str],
        body: fn(&Bench),
    ) -> Self {
        Self {
            needs_root: true,
            ..Self::new(name, programs, body)
        }
    }

    /// Runs over all ways.
    pub const fn everywhere(self) -> Self {
        Self {
            ways: &Way::ALL,
            ..self
        }
    }

    pub const fn with(self, environment: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            environment,
            ..self
        }
    }

    pub const fn unless(self, lacks: fn() -> Option<String>) -> Self {
        Self { lacks, ..self }
    }
}

impl Trip {
    fn name(&self) -> String {
        format!("{}{}", self.test.name, self.way.suffix())
    }

    fn missing(&self) -> Option<String> {
        if self.test.needs_root && !program::is_root() {
            return Some("it needs root".to_owned());
        }
        let absent = self
            .test
            .programs
            .iter()
            .chain(self.way.programs())
            .find(|name| program::find(name).is_none());
        absent
            .map(|absent| format!("{absent} is not installed"))
            .or_else(self.test.lacks)
    }

    fn run(&self) -> Result<(), String> {
        let mut bench = Bench::new(self.test.name, self.way, self.test.environment);
        front::set_up(&mut bench, self.test.environment);
        caught(|| (self.test.body)(&bench)).map_err(|reason| format!("{reason}\n{}", bench.log()))
    }
}

fn caught<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(body)).map_err(|_| PANIC.take())
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

pub fn run(tests: &'static [Test], filters: &[String]) -> ExitCode {
    panic::set_hook(Box::new(|info| PANIC.set(info.to_string())));
    let trips = tests
        .iter()
        .flat_map(|test| test.ways.iter().map(move |way| Trip { test, way: *way }));
    let is_wanted = |trip: &Trip| {
        filters.is_empty() || filters.iter().any(|filter| trip.name().contains(filter))
    };
    let queue: Mutex<VecDeque<Trip>> = Mutex::new(trips.filter(is_wanted).collect());
    let tally = Mutex::new(Tally::default());
    let next = || queue.lock().unwrap().pop_front();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(trip) = next() {
                    report(&trip, &tally);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    println!(
        "{} passed, {} failed, {} skipped",
        tally.passed, tally.failed, tally.skipped
    );
    if tally.failed > 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn report(trip: &Trip, tally: &Mutex<Tally>) {
    let name = trip.name();
    if let Some(reason) = trip.missing() {
        tally.lock().unwrap().skipped += 1;
        println!("skipped {name}: {reason}");
        return;
    }
    // a bench that cannot be set up is a failure of the test too
    let outcome = caught(|| trip.run()).flatten();
    let mut tally = tally.lock().unwrap();
    match outcome {
        Ok(()) => tally.passed += 1,
        Err(reason) => {
            tally.failed += 1;
            println!("FAILED {name}: {reason}");
        }
    }
}
