//! Runs the tests, two at a time, each in its own sandbox. Prints failures, skipped tests and counts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use crate::harness::endpoint;
use crate::harness::engine_version::Engine;
use crate::harness::program;
use crate::harness::sandbox::Sandbox;
use crate::harness::transport::Transport;

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
    transports: &'static [Transport],
    engines: &'static [Engine],
    body: fn(&Sandbox),
}

/// A test over one of its transports, with one of its engines.
struct Case {
    test: &'static Test,
    transport: Transport,
    engine: Engine,
}

impl Test {
    pub const fn new(
        name: &'static str,
        programs: &'static [&'static str],
        body: fn(&Sandbox),
    ) -> Self {
        Self {
            name,
            programs,
            needs_root: false,
            lacks: || None,
            environment: &[],
            transports: &[Transport::Plain],
            engines: &[Engine::Debian],
            body,
        }
    }

    pub const fn root(
        name: &'static str,
        programs: &'static [&'static str],
        body: fn(&Sandbox),
    ) -> Self {
        Self {
            needs_root: true,
            ..Self::new(name, programs, body)
        }
    }

    /// Runs over all transports.
    pub const fn everywhere(self) -> Self {
        Self {
            transports: &Transport::ALL,
            ..self
        }
    }

    /// Runs with every version of Docker Engine.
    pub const fn on_every_engine(self) -> Self {
        Self {
            engines: &Engine::ALL,
            ..self
        }
    }

    /// Runs with the newest version of Docker Engine alone.
    pub const fn on_newest_engine(self) -> Self {
        Self {
            engines: &[Engine::V29],
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

impl Test {
    fn cases(&'static self) -> impl Iterator<Item = Case> {
        self.engines.iter().flat_map(move |engine| {
            self.transports.iter().map(move |transport| Case {
                test: self,
                transport: *transport,
                engine: *engine,
            })
        })
    }
}

impl Case {
    fn name(&self) -> String {
        let (engine, transport) = (self.engine.suffix(), self.transport.suffix());
        format!("{}{engine}{transport}", self.test.name)
    }

    fn missing(&self) -> Option<String> {
        if self.test.needs_root && !program::is_root() {
            return Some("it needs root".to_owned());
        }
        let absent = self
            .test
            .programs
            .iter()
            .map(|name| self.engine.program(name))
            .chain(self.transport.programs().iter().copied())
            .chain(self.engine.programs().iter().copied())
            .find(|name| program::find(name).is_none());
        absent
            .map(|absent| format!("{absent} is not installed"))
            .or_else(self.test.lacks)
    }

    fn run(&self) -> Result<(), String> {
        let mut sandbox = Sandbox::new(
            self.test.name,
            self.transport,
            self.engine,
            self.test.environment,
        );
        endpoint::set_up(&mut sandbox, self.test.environment);
        caught(|| (self.test.body)(&sandbox))
            .map_err(|reason| format!("{reason}\n{}", sandbox.log()))
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
    let cases = tests.iter().flat_map(Test::cases);
    let is_selected = |case: &Case| {
        filters.is_empty() || filters.iter().any(|filter| case.name().contains(filter))
    };
    let queue: Mutex<VecDeque<Case>> = Mutex::new(cases.filter(is_selected).collect());
    let tally = Mutex::new(Tally::default());
    let next = || queue.lock().unwrap().pop_front();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(case) = next() {
                    report(&case, &tally);
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

fn report(case: &Case, tally: &Mutex<Tally>) {
    let name = case.name();
    if let Some(reason) = case.missing() {
        tally.lock().unwrap().skipped += 1;
        println!("skipped {name}: {reason}");
        return;
    }
    // a sandbox that cannot be set up is a failure of the test too
    let outcome = caught(|| case.run()).flatten();
    let mut tally = tally.lock().unwrap();
    match outcome {
        Ok(()) => tally.passed += 1,
        Err(reason) => {
            tally.failed += 1;
            println!("FAILED {name}: {reason}");
        }
    }
}
